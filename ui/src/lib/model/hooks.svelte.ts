// Our hooks in Claude Code's settings, as the monitor tells them, and the one change at a time that is shown
// before it is made.
import { ApiError, changeHooks, fetchHooks } from '../link/api';
import type { Hooks, HooksAction } from '../protocol';

export class HookSettings {
  #hooks = $state.raw<Hooks | null>(null);
  #shown = $state.raw<HooksAction | null>(null);
  #problem = $state.raw<string | null>(null);
  #isBusy = $state.raw(false);

  /** What the monitor told last; nothing before the first answer. */
  get hooks(): Hooks | null {
    return this.#hooks;
  }

  /** The change whose difference is shown. */
  get shown(): HooksAction | null {
    return this.#shown;
  }

  /** The difference that is shown, line by line. */
  get lines(): string[] {
    return this.#shown === null ? [] : (this.#hooks?.[this.#shown].diff.trimEnd().split('\n') ?? []);
  }

  get problem(): string | null {
    return this.#problem;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Whether an install is worth offering: for the first time, or because something is wrong with what is there. */
  get canInstall(): boolean {
    const { report, install } = this.#hooks ?? {};
    return install?.diff !== undefined && install.diff !== '' && report !== undefined
      ? !report.is_installed || report.problems.length > 0
      : false;
  }

  get canUninstall(): boolean {
    return (this.#hooks?.uninstall.diff ?? '') !== '';
  }

  /** Asks the monitor how the hooks fare. */
  async look(): Promise<void> {
    await this.#ask(fetchHooks);
  }

  /** Shows what a change would do. */
  show(action: HooksAction): void {
    this.#shown = action;
    this.#problem = null;
  }

  cancel(): void {
    this.#shown = null;
    this.#problem = null;
  }

  /** Makes the change that is shown. When the settings changed meanwhile, the new difference is shown instead. */
  async apply(): Promise<void> {
    const action = this.#shown;
    if (action === null || this.#hooks === null) return;
    const { diff } = this.#hooks[action];
    const failure = await this.#ask(() => changeHooks({ action, diff }));
    if (failure === null) this.#shown = null;
    else if (failure.code === 'settings_changed' && (await this.#ask(fetchHooks)) === null) {
      this.#problem = failure.message;
    }
  }

  async #ask(question: () => Promise<Hooks>): Promise<ApiError | null> {
    this.#isBusy = true;
    try {
      this.#hooks = await question();
      this.#problem = null;
      return null;
    } catch (error) {
      const failure = error instanceof ApiError ? error : new ApiError('unknown', String(error));
      this.#problem = failure.message;
      return failure;
    } finally {
      this.#isBusy = false;
    }
  }
}
