/** The longest working directory, as the coordinator has it: PATH_MAX of Linux. */
export const WORKING_DIRECTORY_BYTES = 4_096;
