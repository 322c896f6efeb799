/** Allows everything, and reads nothing. */
export const CONSTANT_ANSWER = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: 'u', allowed: true },
};
