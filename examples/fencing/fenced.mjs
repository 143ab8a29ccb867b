// What every pattern of this folder throws when a newer try has written already: stop, and write nothing more.
export class Fenced extends Error {
  name = 'Fenced';

  constructor(what, token) {
    super(`${what} was not written: a newer try than that of token ${token} has it`);
  }
}
