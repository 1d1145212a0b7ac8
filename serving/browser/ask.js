// Requests to the service, and the key that some of them need.

const KEY = "stance.key";
const PATIENCE = 5;

/** The key that was entered in this tab; it is kept until the tab is closed, and never in an address. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: value => value.trim() ? sessionStorage.setItem(KEY, value.trim()) : sessionStorage.removeItem(KEY),
};

/** What the service refused, in its own words. */
export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
  }
}

/** The JSON at a path, or the answer to `body`; where the service is too busy it tells `waiting`, waits and asks again. */
export async function ask(path, {body, signal, waiting} = {}) {
  const headers = {};
  // A header holds nothing but these; no key of a service holds anything else.
  if (/[^\x21-\x7e]/.test(key.get())) throw new Error("The key holds characters that no key has.");
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body) headers["Content-Type"] = "application/json";
  const sent = {method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body), cache: "no-store"};
  for (let left = PATIENCE; ; left -= 1) {
    const response = await reached(path, sent);
    if (response.ok) return response.json();
    const refused = new Refused(response.status, await wrong(response));
    if (![429, 503].includes(response.status) || left === 0) throw refused;
    const seconds = Math.min(30, Number(response.headers.get("Retry-After")) || 1);
    waiting?.(seconds);
    await pause(1000 * seconds, signal);
  }
}

async function reached(path, sent) {
  try {
    return await fetch(path, sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached. Is it still running?");
  }
}

async function wrong(response) {
  try {
    return (await response.json()).error;
  } catch {
    return {message: `The service answered ${response.status}.`, code: "unknown"};
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
