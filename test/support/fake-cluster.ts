import type {
  Cluster,
  SecretReading,
  WebhookReading,
  WriteResult,
} from '../../src/kube/cluster.ts';

/** A cluster with one Secret and one webhook configuration, as strict about versions as the API server. */
export class FakeCluster {
  secret: SecretReading | undefined = { resourceVersion: '1', data: {} };
  webhook: WebhookReading | undefined = { resourceVersion: '1', bundles: ['', ''] };
  /** Set to make every call fail. */
  failure: Error | undefined;
  /** Set to make writes fail while reads go on. */
  writeFailure: Error | undefined;
  writes = 0;
  #version = 1;

  /** The port, as one replica sees it. */
  connect(): Cluster {
    return {
      readSecret: () => this.#answer(() => this.secret),
      readWebhook: () => this.#answer(() => this.webhook),
      writeSecret: (data, read) =>
        this.#write(
          () => read?.resourceVersion === this.secret?.resourceVersion,
          (resourceVersion) => {
            this.secret = { resourceVersion, data };
          },
        ),
      writeBundles: (bundles, read) =>
        this.#write(
          () => read.resourceVersion === this.webhook?.resourceVersion,
          (resourceVersion) => {
            this.webhook = { resourceVersion, bundles };
          },
        ),
    };
  }

  async #answer<Value>(read: () => Value): Promise<Value> {
    // Replicas that run at once take turns here.
    await Promise.resolve();
    if (this.failure !== undefined) {
      throw this.failure;
    }
    return read();
  }

  #write(isCurrent: () => boolean, write: (version: string) => void): Promise<WriteResult> {
    return this.#answer(() => {
      if (this.writeFailure !== undefined) {
        throw this.writeFailure;
      }
      if (!isCurrent()) {
        return 'conflict';
      }
      this.#version += 1;
      this.writes += 1;
      write(String(this.#version));
      return 'written';
    });
  }
}
