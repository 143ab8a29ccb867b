export * from './main/api.js';
