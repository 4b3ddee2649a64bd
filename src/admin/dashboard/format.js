// Numbers and times in words.

import { attribute, text } from "./dom.js";

const DASH = "–";

/** How far the process's clock is ahead of the browser's, in ms. */
let ahead = 0;

/** The time by the process's clock, in ms. */
export const now = () => Date.now() + ahead;

/** Takes note of the process's clock: `startedAt` and the seconds since. */
export function setClock(status) {
  const theirs = Date.parse(status.startedAt) + status.uptimeSeconds * 1000;
  // The uptime is cut to whole seconds.
  if (Math.abs(theirs - now()) > 1500) ahead = theirs + 500 - Date.now();
}

const unknown = value => value === null || value === undefined || Number.isNaN(value);

export function rate(value) {
  if (unknown(value)) return DASH;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return value >= 100 ? count(Math.round(value)) : value.toFixed(1);
}

export const count = value => unknown(value) ? DASH : value.toLocaleString("en");

export const percent = value => unknown(value) ? DASH : `${(value * 100).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;

export function ms(value) {
  if (unknown(value)) return DASH;
  if (value >= 60_000) return span(value);
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return value >= 100 ? `${value.toFixed(0)} ms` : value >= 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(2)} ms`;
}

/** A span of time in its two greatest units. */
export function span(value) {
  const seconds = Math.max(0, Math.floor(value / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

export const since = at => at ? span(now() - Date.parse(at)) : "";

/** The time of day, with the date if that is not today's. */
export function clock(at) {
  const [time, today] = [new Date(at), new Date()];
  const date = time.toDateString() === today.toDateString() ? "" : `${time.toLocaleDateString("en-CA")} `;
  return date + time.toLocaleTimeString("en-GB");
}

/** Fills a `<time>`. */
export function when(node, at) {
  text(node, clock(at));
  attribute(node, "datetime", at);
  attribute(node, "title", at);
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** An error of the configuration: where it is, and what would be right. */
export function fault(view, error) {
  const it = typeof error === "string" ? { message: error } : error;
  text(view.place, [it.file, it.line, it.column].filter(part => part || part === 0).join(":"));
  text(view.path, it.path);
  text(view.message, it.message);
  const hints = [it.allowed && `allowed: ${it.allowed}`, it.suggestion && `did you mean ${it.suggestion}?`];
  text(view.hint, hints.filter(Boolean).join("; "));
}
