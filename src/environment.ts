/** The environment of the process; only the standard proxy variables are read here, the AWS SDK reads its own. */
export function environment(): NodeJS.ProcessEnv {
  return process.env;
}
