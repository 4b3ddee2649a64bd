// The stream of events, for as long as somebody looks. It comes back whatever happens to the process or to the way there.

/** Without a word for so long, the connection counts as lost: the process tells its status every second. */
const SILENCE = 5000;

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4000;

export class Live {
  #source = null;
  #timer = 0;
  #pause = FIRST_PAUSE;
  #lostSince = null;

  /** Calls `on.hello`, `on.change`, `on.missed` and `on.status` with what comes, `on.connection` with how the connection is. */
  constructor(url, on) {
    this.url = url;
    this.on = on;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.#look());
    this.#look();
  }

  #look() {
    if (document.visibilityState === "hidden") {
      this.#close();
      this.on.connection({ state: "paused" });
    } else if (!this.#source) {
      this.#pause = FIRST_PAUSE;
      this.on.connection(this.#lostSince ? this.#lost() : { state: "connecting" });
      this.#open();
    }
  }

  #open() {
    this.#close();
    const source = this.#source = new EventSource(this.url);
    const take = name => source.addEventListener(name, event => {
      if (source !== this.#source) return;
      this.#heard();
      this.on[name](JSON.parse(event.data));
    });
    ["hello", "change", "missed", "status"].forEach(take);
    // A source may give up for good, or try again on its own terms; ours are sooner.
    source.onerror = () => source === this.#source && this.#again();
    this.#watch();
  }

  #heard() {
    this.#pause = FIRST_PAUSE;
    this.#lostSince = null;
    this.on.connection({ state: "live" });
    this.#watch();
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again(), SILENCE);
  }

  #again() {
    this.#close();
    this.#lostSince ??= new Date();
    this.on.connection(this.#lost());
    this.#timer = setTimeout(() => this.#open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #lost() {
    return { state: "lost", since: this.#lostSince };
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
