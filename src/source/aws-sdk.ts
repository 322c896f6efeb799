// What the program uses of the SDK. The build makes it a file of its own, which is loaded for maps in S3 alone.
export {
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
