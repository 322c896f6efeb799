import type { SampleReview } from './reviews.ts';

/** Names what a body answers, such as the image that it sets; undefined where it is wrong. */
export type AnswerCheck = (body: string) => string | undefined;

interface Answer {
  readonly response?: {
    readonly uid?: string;
    readonly allowed?: boolean;
    readonly patch?: string;
  };
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

const IMAGE_PATH = /^\/spec\/(?:containers|initContainers)\/\d+\/image$/;

/** Expects the review to be answered with as many rewrites as it needs, all to one of the targets. */
export function expectRewrite(review: SampleReview, targets: readonly string[]): AnswerCheck {
  return (body) => {
    const { response } = JSON.parse(body) as Answer;
    if (response?.uid !== review.uid || response.allowed !== true) {
      return undefined;
    }
    const patch = Buffer.from(response.patch ?? '', 'base64').toString();
    const operations = patch === '' ? [] : (JSON.parse(patch) as Operation[]);
    const images = operations.filter(({ op, path }) => op === 'replace' && IMAGE_PATH.test(path));
    const target = targets.find((each) => images.every(({ value }) => value === each));
    return images.length === review.rewrites ? target : undefined;
  };
}

/** Expects the constant of the yardsticks. */
export const expectConstant: AnswerCheck = (body) =>
  (JSON.parse(body) as Answer).response?.allowed === true ? 'constant' : undefined;
