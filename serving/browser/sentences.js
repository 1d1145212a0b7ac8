// A text as the sentences in it, and sentences as the requests that they go out in.

/** What the service takes of one text, in characters. */
const LONGEST = 10_000;
const TEXTS = 64;
const BYTES = 1_000_000;

const ABBREVIATION =
  /(?:^|[\s("“'‘])(?:Mr|Mrs|Ms|Dr|Prof|Gen|Lt|Col|Maj|Capt|Adm|Sgt|Sen|Rep|Gov|Amb|Rev|Hon|St|vs|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Inc|Ltd|Co|Corp|\p{Lu}|(?:\p{L}\.)+\p{L})\.\s*$/u;
const ENDS = /[.!?…]["”’)]*$/;
const STARTS_SMALL = /^["“'‘(]?\p{Ll}/u;
const SAYS_SOMETHING = /[^\s\u0085\ufeff]/u;

/** The sentences of a text, none of them empty, none longer than the service takes. */
export function sentencesOf(text) {
  const sentences = paragraphs(text.toWellFormed()).flatMap(split).flatMap(pieces);
  return sentences.map(sentence => sentence.trim()).filter(sentence => SAYS_SOMETHING.test(sentence));
}

/** Lines; one that begins with a small letter goes on with a line that no sentence ended on, as in text copied from a PDF. */
function paragraphs(text) {
  const found = [];
  let fresh = true;
  for (const line of text.split(/\r\n|[\n\r\u2028\u2029]/)) {
    if (!fresh && STARTS_SMALL.test(line.trim()) && !ended(found.at(-1))) found[found.length - 1] += ` ${line.trim()}`;
    else if (line.trim()) found.push(line.trim());
    fresh = !line.trim();
  }
  return found;
}

const ended = line => ENDS.test(line) && !ABBREVIATION.test(line);

function split(paragraph) {
  const sentences = [];
  let open = "";
  for (const {segment} of new Intl.Segmenter("en", {granularity: "sentence"}).segment(paragraph)) {
    // After an abbreviation, or where the next word is small, the full stop ended nothing.
    if (open && !ABBREVIATION.test(open) && !STARTS_SMALL.test(segment)) {
      sentences.push(open);
      open = "";
    }
    open += segment;
  }
  return open ? [...sentences, open] : sentences;
}

/** A sentence in parts that the service takes, cut between words where there are any, and never inside a character. */
function pieces(sentence) {
  const found = [];
  let rest = sentence;
  while (rest.length > LONGEST) {
    const space = rest.lastIndexOf(" ", LONGEST);
    const whole = /[\ud800-\udbff]/.test(rest[LONGEST - 1]) ? LONGEST - 1 : LONGEST;
    const end = space > LONGEST / 2 ? space : whole;
    found.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...found, rest];
}

/** Requests: at most 64 texts each, and fewer where they are long. */
export function batchesOf(sentences) {
  const batches = [];
  const encoder = new TextEncoder();
  let size = Infinity;
  for (const sentence of sentences) {
    const bytes = encoder.encode(JSON.stringify(sentence)).length + 1;
    if (size + bytes > BYTES || batches.at(-1).length === TEXTS) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1).push(sentence);
    size += bytes;
  }
  return batches;
}
