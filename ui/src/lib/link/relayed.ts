// The live stream of another monitor of this user, asked for again and again through the page's own. Says what the
// socket would say, so that nobody else needs to know.
import type { Seq, Snapshot, Subscribe } from '../protocol';
import { fetchHealth, fetchRows, fetchSessions } from './api';
import type { StreamSocket } from './socket';

/** How long the monitor may wait for news before it answers with nothing. */
const WAIT_S = 20;
const PAGE_ROWS = 1000;
/** Between an answer with news and the next question. */
const PAUSE_MS = 300;

type Ack = (snapshot: Snapshot) => void;

export class RelayedStream implements StreamSocket {
  #listeners = new Map<string, (...data: never[]) => void>();
  #abort: AbortController | undefined;

  on(event: string, listener: (...data: never[]) => void): void {
    this.#listeners.set(event, listener);
  }

  emit(event: string, ...data: unknown[]): void {
    if (event !== 'subscribe' || this.#abort === undefined) return;
    void this.#follow(data[0] as Subscribe, data[1] as Ack, this.#abort.signal);
  }

  connect(): void {
    this.#abort?.abort();
    this.#abort = new AbortController();
    this.#say('connect');
  }

  disconnect(): void {
    if (this.#abort === undefined) return;
    this.#abort.abort();
    this.#abort = undefined;
    this.#say('disconnect');
  }

  async #follow({ after, limit }: Subscribe, ack: Ack, signal: AbortSignal): Promise<void> {
    try {
      const [health, list, page] = await Promise.all([
        fetchHealth(signal),
        fetchSessions(signal),
        fetchRows({ after, limit }, signal),
      ]);
      if (signal.aborted) return;
      // What lies between a page that is not the last and the newest event is fetched by whoever subscribed.
      const isBehind = after !== undefined && page.has_more;
      const position = isBehind ? health.last_seq : (page.position ?? health.last_seq);
      ack({
        epoch: page.epoch ?? '',
        server_version: health.version,
        last_seq: position,
        snapshot: page.events,
        ...list,
        has_more: page.has_more,
      });
      await this.#goOn(position, page.epoch, signal);
    } catch {
      if (!signal.aborted) this.disconnect();
    }
  }

  async #goOn(from: Seq, epoch: string | undefined, signal: AbortSignal): Promise<void> {
    let after = from;
    while (!signal.aborted) {
      const page = await fetchRows({ after, limit: PAGE_ROWS, wait: WAIT_S }, signal);
      if (signal.aborted) return;
      if (page.events.length > 0) {
        this.#say('events', { rows: page.events });
        const { sessions: changed, counts } = await fetchSessions(signal);
        this.#say('sessions', { changed, counts });
      }
      if (page.ending !== undefined) {
        const event = page.ending.reason === 'restart' ? 'server_restart' : 'server_shutdown';
        this.#say(event, { reason: page.ending.reason });
      }
      if (page.ending !== undefined || page.epoch !== epoch) {
        this.disconnect();
        return;
      }
      after = page.position ?? page.events.at(-1)?.seq ?? after;
      if (page.events.length > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #say(event: string, ...data: unknown[]): void {
    this.#listeners.get(event)?.(...(data as never[]));
  }
}
