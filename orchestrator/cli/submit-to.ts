/** Submits an example to a cluster that may still be starting. */
import { connect } from '../../coord/client/index.ts';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import { prepareJob, submitJob } from '../runtime/submit-job.ts';

export async function submitTo(cluster: LocalCluster, file: string, params: Readonly<Record<string, string>>): Promise<string> {
  const prepared = await prepareJob(file, params, {}, cluster.storageUrl, Date.now());
  const client = await connect(cluster.connectString, { connectTimeoutMs: 0 });
  try {
    await submitJob(client, prepared);
  } finally {
    await client.close();
  }
  return prepared.spec.jobId;
}
