// Prints the bill of materials (CycloneDX) of what goes into the bundle, the same for the same lock file.
import { execFileSync } from 'node:child_process';

interface Bom {
  serialNumber?: string;
  metadata: { timestamp?: string };
}

const args = ['sbom', '--omit=dev', '--package-lock-only', '--sbom-format=cyclonedx'];
const bom = JSON.parse(execFileSync('npm', args, { encoding: 'utf8' })) as Bom;
// npm writes the time and a random number, which would make every image another one.
delete bom.serialNumber;
delete bom.metadata.timestamp;
process.stdout.write(`${JSON.stringify(bom, null, 1)}\n`);
