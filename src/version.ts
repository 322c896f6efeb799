/** The version in package.json and in the chart; a test compares them. */
export const VERSION = '0.1.0';
