"""One address for one article, whatever was hung on it on the way."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from courlan import extract_domain

_LONGEST = 2000
"""Characters; longer addresses are data or mistakes."""

_TRACKING = re.compile(
    r"(?:utm_|mtm_|pk_|piwik_|hsa_|oly_|vero_|__hs|_hs|at_(?:medium|campaign|custom|link|format|bbc|ptr)).*"
    r"|fbclid|gclid|dclid|gclsrc|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|igsh|mc_cid|mc_eid|mkt_tok|ocid"
    r"|cmpid|cmp|ncid|smid|smtyp|ito|xtor|guccounter|guce_referrer|guce_referrer_sig|ref_src|ref_url"
    r"|ns_campaign|ns_mchannel|ns_source|ns_linkname|srnd|partner|partnerid|amp|outputtype",
    re.IGNORECASE,
)
"""Parameters that tell where a reader came from, and those that ask for the AMP variant.

Narrower than courlan's list, which takes `uid`, `cid`, `eid` and `source` too: some outlets name articles by them, and
two articles that become one are worse than one article that stays two.
"""

_CACHED_BY_GOOGLE = re.compile(r"/amp/(s/)?(.+)")
_AMP_CACHE = re.compile(r"/[cv]/(s/)?(.+)")
_AMP_END = re.compile(r"(?<=[^/])(?:(?:[/.]amp)+/?$|(?:\.amp)+(?=\.html?$))")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_UNESCAPED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical_url(url: str | None) -> str | None:
    """An address without what does not name the article; None where it is no address of the Web.

    Lower-case host, no default port, no user, no fragment (but "#!", which names pages), no tracking parameters,
    escapes written one way (RFC 3986, 6.2), an AMP address turned into the one that it spells out. What a mobile host
    shows elsewhere only its page can tell: see `canonical_of_page`. A canonical address is its own.
    """
    # One thing may hide another (an AMP cache, an AMP address); from the second round on each makes it shorter.
    cleaned = _cleaned(url) if url else None
    while cleaned != url and cleaned is not None:
        url, cleaned = cleaned, _cleaned(cleaned)
    return cleaned


def canonical_of_page(url: str, said: list[str]) -> str | None:
    """The canonical address of a page: the first of those that it gives as its own that can be believed, else its own.

    Believed is one on the same site (the same registered domain) that does not point to the site's front while the
    page is not the front.

    Args:
        url: where the page was found, after redirects.
        said: the page's rel=canonical, og:url, …, best first.
    """
    own = canonical_url(url)
    if own is None:
        return None
    for link in said:
        try:
            target = canonical_url(urljoin(url, link.strip()))
        except ValueError:
            continue
        if target and _site(target) == _site(own) and (not is_front(target) or is_front(own)):
            return target
    return own


def url_key(url: str) -> str:
    """A canonical address without what differs where two are one: scheme, "www.", order of parameters, last "/"."""
    parts = urlsplit(url)
    query = "&".join(sorted(parts.query.split("&")))
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}?{query}#{parts.fragment}"


def is_front(url: str) -> bool:
    """Whether an address is a site's front page, which no article has for itself."""
    parts = urlsplit(url)
    return parts.path in ("", "/") and not parts.query and not parts.fragment


def _cleaned(url: str) -> str | None:
    url = re.sub(r"[\x00-\x20\x7f-\xa0\ud800-\udfff]", "", url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not host or len(url) > _LONGEST:
        return None
    original = _under_amp(host, parts)
    if original:
        return original
    host = _plain_host(host)
    if not host:
        return None
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    path = _AMP_END.sub("", _escaped(parts.path)) or "/"
    kept = [part for part in parts.query.split("&") if part and not _TRACKING.fullmatch(part.partition("=")[0])]
    fragment = _escaped(parts.fragment) if parts.fragment.startswith("!") else ""
    cleaned = urlunsplit((scheme, host, path, _escaped("&".join(kept), more="?"), fragment))
    return cleaned if len(cleaned) <= _LONGEST else None


def _under_amp(host: str, parts: SplitResult) -> str | None:
    """The address that one of Google's AMP addresses spells out."""
    if host in ("google.com", "www.google.com"):
        found = _CACHED_BY_GOOGLE.fullmatch(parts.path)
    elif host.endswith(".cdn.ampproject.org"):
        found = _AMP_CACHE.fullmatch(parts.path)
    else:
        return None
    if not found or "." not in found[2].partition("/")[0]:
        return None
    return urlunsplit(("https" if found[1] else "http", *_split_host(found[2]), parts.query, ""))


def _split_host(address: str) -> tuple[str, str]:
    host, _, path = address.partition("/")
    return host, f"/{path}"


def _plain_host(host: str) -> str:
    host = host.rstrip(".").lower()
    if ":" in host:
        return f"[{host}]"
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return ""
    return host if re.fullmatch(r"[a-z0-9._-]+", host) else ""


def _escaped(text: str, more: str = "") -> str:
    """Escapes in one spelling: upper case, of everything that needs one, of nothing that does not."""
    text = quote(_LONE_PERCENT.sub("%25", text), safe="%/:@!$&'()*+,;=~" + more, errors="replace")
    return _ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNESCAPED else f"%{match[1].upper()}"


def _site(url: str) -> str | None:
    """The registered domain ("bbc.co.uk"), or the host where it has none."""
    return extract_domain(url) or urlsplit(url).hostname
