// What keys and palette entries do at the moment: each part of the page says what it answers to while it is there.
import type { Command } from './keyboard';

export type Handlers = Partial<Record<Command, () => void>>;

export class Commands {
  #layers: readonly Handlers[] = [];

  /** Answers to these until the returned function is called; what was added last is asked first. */
  use(handlers: Handlers): () => void {
    this.#layers = [handlers, ...this.#layers];
    return () => {
      this.#layers = this.#layers.filter((layer) => layer !== handlers);
    };
  }

  /** Whether anything answers. */
  has(command: Command): boolean {
    return this.#layers.some((layer) => layer[command] !== undefined);
  }

  /** Whether something answered. */
  run(command: Command): boolean {
    const handler = this.#layers.find((layer) => layer[command] !== undefined)?.[command];
    handler?.();
    return handler !== undefined;
  }
}
