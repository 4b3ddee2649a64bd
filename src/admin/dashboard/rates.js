// Rates, from the differences of counters.

/** How far back samples are kept, in ms. */
export const KEPT = 60_000;

/** What "per second" is measured over, in ms. */
const RECENT = 5000;

/** The least time between two samples, in ms: a change is told at once, besides the regular round. */
const APART = 500;

/** What may fall, too. */
const GAUGES = ["latency", "inFlight"];

/** The counters of one thing over the last minute. */
export class Track {
  #samples = [];

  add(at, counters) {
    const last = this.#samples.at(-1);
    if (last && Object.keys(counters).some(name => !GAUGES.includes(name) && counters[name] < last[name])) {
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

  /** How long it has been watched, in ms; a minute at most. */
  get watched() {
    return this.#samples.length ? this.#samples.at(-1).at - this.#samples[0].at : 0;
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

/** The tracks of all things, by their kinds and names. */
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

  /** Takes the counters of a status, and of the routes, which were fetched at a time of their own; what they do not name is forgotten. */
  add(at, status, routes) {
    const total = { requests: 0, failed: 0 };
    const tracks = new Map();
    const put = (at, name, counters) => {
      const track = this.of(...name);
      track.add(at, counters);
      tracks.set(JSON.stringify(name), track);
    };
    for (const listener of status.listeners) {
      const counters = answers(listener.requests);
      put(at, ["listener", listener.name], counters);
      for (const name of Object.keys(total)) total[name] += counters[name];
    }
    put(at, ["total"], total);
    for (const route of routes.all) put(routes.at, ["route", route.name], answers(route.requests));
    for (const backend of status.backends) {
      const own = { ...answers(backend.unanswered), retries: backend.retries, retriesRefused: backend.retriesRefused, picks: 0 };
      for (const endpoint of backend.endpoints) {
        const { requests, failed } = answers(endpoint.requests);
        const counters = { requests, failed, picks: endpoint.picks, inFlight: endpoint.inFlight, latency: endpoint.latencyMs };
        put(at, ["endpoint", backend.name, endpoint.url], counters);
        for (const name of ["requests", "failed", "picks"]) own[name] += counters[name];
      }
      put(at, ["backend", backend.name], own);
    }
    put(at, ["spans"], { failed: status.traces?.failed ?? 0, dropped: status.traces?.dropped ?? 0 });
    this.#tracks = tracks;
  }
}

/** How many requests there were, and how many of them were answered with 5xx or not at all. */
function answers(byClass) {
  const requests = Object.values(byClass ?? {}).reduce((all, one) => all + one, 0);
  return { requests, failed: (byClass?.["5xx"] ?? 0) + (byClass?.none ?? 0) };
}

/**
 * Which part of what an endpoint was given lately, and is over, it did not answer well; null where there was nothing. A try
 * that failed is not among the requests that it answered, but it was picked for it.
 */
export function failedTries(track) {
  const over = track.growth("picks") - track.growth("inFlight");
  const good = track.growth("requests") - track.growth("failed");
  return over > 0 ? Math.max(0, over - good) / over : null;
}
