// Rates, from the differences of counters.

/** How far back samples are kept, in ms. */
export const KEPT = 60_000;

/** What "per second" is measured over, in ms. */
const RECENT = 5000;

/** The least time between two samples, in ms: a change is told at once, besides the regular round. */
const APART = 500;

/** The counters of one thing over the last minute. */
export class Track {
  #samples = [];

  add(at, counters) {
    const last = this.#samples.at(-1);
    if (last && Object.keys(counters).some(name => name !== "latency" && counters[name] < last[name])) {
      // It began anew: the same name, another thing.
      this.#samples = [];
    } else if (last && at - last.at < APART) {
      return;
    }
    this.#samples.push({ at, ...counters });
    while (this.#samples[0].at < at - KEPT) this.#samples.shift();
  }

  /** How much `name` grew in the last `span` ms; null before there are two samples. */
  growth(name, span = KEPT) {
    const [first, last] = this.#ends(this.#samples.length - 1, span);
    return first === last ? null : last[name] - first[name];
  }

  /** How much `name` grows per second now. */
  rate(name) {
    return this.#rate(this.#samples.length - 1, name);
  }

  rates(name) {
    return this.#samples.map((sample, index) => ({ at: sample.at, value: this.#rate(index, name) ?? 0 })).slice(1);
  }

  values(name) {
    return this.#samples.map(sample => ({ at: sample.at, value: sample[name] ?? 0 }));
  }

  #rate(index, name) {
    const [first, last] = this.#ends(index, RECENT);
    return first === last ? null : 1000 * (last[name] - first[name]) / (last.at - first.at);
  }

  #ends(index, span) {
    const last = this.#samples[index];
    let first = index;
    while (first > 0 && this.#samples[first - 1].at >= last.at - span) first -= 1;
    return [this.#samples[first], last];
  }
}

/** The tracks of all things, by their names. */
export class Tracks {
  #tracks = new Map();

  clear() {
    this.#tracks.clear();
  }

  of(...name) {
    const key = JSON.stringify(name);
    if (!this.#tracks.has(key)) this.#tracks.set(key, new Track());
    return this.#tracks.get(key);
  }

  /** Takes a status's counters; what the status does not name is forgotten. */
  add(at, status) {
    const total = { requests: 0, failed: 0 };
    const tracks = new Map();
    const put = (name, counters) => {
      const track = this.of(...name);
      track.add(at, counters);
      tracks.set(JSON.stringify(name), track);
    };
    for (const backend of status.backends) {
      const own = { requests: sum(backend.unanswered), failed: failed(backend.unanswered), retries: backend.retries, picks: 0 };
      for (const endpoint of backend.endpoints) {
        const counters = {
          requests: endpoint.requestsTotal, failed: failed(endpoint.requests), picks: endpoint.picks, latency: endpoint.latencyMs,
        };
        put([backend.name, endpoint.url], counters);
        for (const name of ["requests", "failed", "picks"]) own[name] += counters[name];
      }
      put([backend.name], own);
      total.requests += own.requests;
      total.failed += own.failed;
    }
    put([], total);
    this.#tracks = tracks;
  }
}

const sum = counters => Object.values(counters ?? {}).reduce((all, one) => all + one, 0);

const failed = byClass => (byClass?.["5xx"] ?? 0) + (byClass?.none ?? 0);
