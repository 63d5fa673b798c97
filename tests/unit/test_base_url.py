"""What may be a base URL, how it is understood, and what is said of what can't be one."""

import pytest

from cxai.api.base_url import checked_base_url
from cxai.errors import UsageError

API = "https://api.elevateai.com"


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (API, API),
        ("https://10.0.0.1:8443/cx", "https://10.0.0.1:8443/cx"),
        ("http://localhost:8900", "http://localhost:8900"),
        ("http://LOCALHOST:8900", "http://localhost:8900"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.9.9.9:80", "http://127.9.9.9"),
        ("http://[::1]:8900", "http://[::1]:8900"),
    ],
)
def test_https_is_allowed_for_all_hosts_and_http_for_loopback(given, understood):
    assert checked_base_url(given) == understood


@pytest.mark.parametrize(
    "spelling",
    [
        f"{API}/",
        f"{API}/v1",
        f"{API}/v1/",
        f"{API}/V1",
        f"{API}//v1//",
        "HTTPS://API.ElevateAI.com",
        f"{API}.",
        f"{API}./v1",
        f"{API}:443/v1",
        f"  {API}\n",
    ],
)
def test_equivalent_spellings_give_the_same_url(spelling):
    assert checked_base_url(spelling) == API


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/cx", "/cx"),
        ("/cx/v1", "/cx"),
        ("/v1/cx", "/v1/cx"),
        ("/v1x", "/v1x"),
        ("/a%2Fb", "/a%2Fb"),
    ],
)
def test_a_path_prefix_is_kept(path, kept):
    assert checked_base_url(API + path) == API + kept


@pytest.mark.promise(
    "`base_url` with `/v1/interactions`, or with a whole path of the API",
    "refused with the correct URL: otherwise every request would fail",
    group="HTTP",
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/interactions",
        "/v1/interactions/",
        "/V1/Interactions",
        "/interactions",
        "/v1/interactions/{id}/ai",
        "/v1/interactions/3f2504e0-4f89-11d3-9a0c-0305e82c3301/status",
    ],
)
@pytest.mark.parametrize("before", ["", "/cx"])
def test_the_path_of_a_resource_is_not_a_base_url(path, before):
    with pytest.raises(UsageError, match=rf"to it\. Use {API}{before}\.$"):
        checked_base_url(API + before + path)


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v10", "/v0"])
def test_another_version_of_the_api_is_refused(path):
    with pytest.raises(UsageError, match=rf"Leave the version out: {API}\.$"):
        checked_base_url(API + path)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.elevateai.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "HTTP://192.168.0.1:8080/cx",
        "ftp://127.0.0.1",
        "ws://127.0.0.1",
    ],
)
def test_a_token_never_leaves_this_machine_in_clear_text(base_url):
    with pytest.raises(UsageError, match="the API token in clear text"):
        checked_base_url(base_url)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("api.elevateai.com", API),
        ("api.elevateai.com/v1", f"{API}/v1"),
        ("api.elevateai.com:443", f"{API}:443"),
        ("//api.elevateai.com", API),
        ("https:/api.elevateai.com", API),
        ("https:api.elevateai.com", API),
        ("localhost:8900", "http://localhost:8900"),
        ("127.0.0.1:8900", "http://127.0.0.1:8900"),
    ],
)
def test_a_url_without_a_scheme_gets_a_suggestion(given, meant):
    with pytest.raises(UsageError) as raised:
        checked_base_url(given)
    assert f"is not of the form https://host[:port][/path]. Did you mean {meant}?" in str(
        raised.value
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        " ",
        "/v1",
        "https://",
        "https:///v1",
        "https://host?x=1",
        "https://host#x",
        "https://host?",
        "https://host:99999",
        "https://[::1",
        "https://two words",
        "https://.",
    ],
)
def test_an_invalid_base_url_is_refused_with_the_expected_form(base_url):
    with pytest.raises(UsageError, match="is not of the form https://"):
        checked_base_url(base_url)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://user:s3cret@host",
        "https://s3cret@host",
        "https://:s3cret@host",
        "user:s3cret@host",
        "https:/user:s3cret@host",
        "https://host?key=s3cret",
        "host?key=s3cret",
        "https://host#s3cret",
        "http://10.0.0.1/#s3cret",
    ],
)
def test_possible_secrets_in_a_base_url_are_not_shown(base_url):
    with pytest.raises(UsageError) as raised:
        checked_base_url(base_url)
    assert "s3cret" not in str(raised.value)
