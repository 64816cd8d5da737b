// Following the monitor to another address.

/** The page of the monitor at its new address, with what this page shows; the host stays as the reader wrote it. */
export function movedTo(url: string, here: Location): string {
  const target = new URL(url);
  // `localhost` and `127.0.0.1` are one machine, but two places for the browser's storage.
  if (isLoopback(target.hostname) && isLoopback(here.hostname)) target.hostname = here.hostname;
  target.hash = here.hash;
  return target.href;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host);
}
