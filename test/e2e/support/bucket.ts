import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { runProgram } from '../../support/program.ts';
import { Workspace } from '../../support/workspace.ts';
import { setting } from './cluster.ts';

/** What the AWS SDK and the Secret of a release need. */
const credentials = {
  AWS_ACCESS_KEY_ID: setting('LAB_S3_ACCESS_KEY_ID'),
  AWS_SECRET_ACCESS_KEY: setting('LAB_S3_SECRET_ACCESS_KEY'),
};

export const s3Settings = {
  region: setting('LAB_S3_REGION'),
  endpoint: setting('LAB_S3_ENDPOINT'),
  forcePathStyle: true,
};

/** An endpoint where nothing listens: S3 is out of reach. */
export const s3OutOfReach = { ...s3Settings, endpoint: 'http://127.0.0.1:1' };

export async function createBucket(name: string): Promise<void> {
  Object.assign(process.env, credentials);
  const client = new S3Client(s3Settings);
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
}

/** The Secret with the credentials, in the namespace of a release. */
export function credentialsSecret(name: string, namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData: credentials,
  };
}

/** Publishes a map with one entry, as a mirroring job does. */
export async function publishEntry(url: string, source: string, target: string): Promise<void> {
  await using workspace = await Workspace.create();
  const config = await workspace.write(
    'config.yaml',
    JSON.stringify({
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'map',
      imageMap: { url, s3: s3Settings },
    }),
  );
  const args = ['map', 'publish', '-', url, '--config', config];
  const { code, stderr } = await runProgram(args, JSON.stringify({ [source]: target }));
  if (code !== 0) {
    throw new Error(stderr);
  }
}
