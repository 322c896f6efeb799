export const EXIT_FINE = 0;
export const EXIT_FAULT = 1;
export const EXIT_USAGE = 2;
