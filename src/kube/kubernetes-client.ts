// What the program uses of the client. The build makes it a file of its own, loaded where a cluster is asked.
export {
  AdmissionregistrationV1Api,
  ApiException,
  type Configuration,
  CoreV1Api,
  HttpMethod,
  KubeConfig,
  type RequestContext,
  type ResponseContext,
} from '@kubernetes/client-node';
