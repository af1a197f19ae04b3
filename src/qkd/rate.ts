/** Names remembered at once; the one idle longest is forgotten first. */
const NAMES = 4096;

/**
 * A token bucket per name: `perMinute` at once and then at that rate. The answer says whether this one may go on.
 * `now` is in milliseconds.
 */
export function rateLimit(perMinute: number, now: () => number): (name: string) => boolean {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (name) => {
    const time = now();
    const bucket = buckets.get(name) ?? { tokens: perMinute, at: time };
    buckets.delete(name);
    buckets.set(name, bucket);
    if (buckets.size > NAMES) {
      for (const oldest of buckets.keys()) {
        buckets.delete(oldest);
        break;
      }
    }
    bucket.tokens = Math.min(perMinute, bucket.tokens + ((time - bucket.at) / 60_000) * perMinute);
    bucket.at = time;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  };
}
