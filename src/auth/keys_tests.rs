//! Keys: every algorithm there and back, what is too weak or not for here, and which key a header means.

use futures_util::FutureExt;
use serde_json::json;

use super::{
    super::{
        forge::{NOW, OTHER_RSA, Pair, RSA, SECRET, body, ec, ed, header, outside, secret, set, with},
        issuers::{ExternalIssuer, Issuers},
        token::{Grant, Tokens},
    },
    *,
};
use crate::{
    domain::{Limits, UserId},
    error::Code,
};

/// An RSA public key of 1024 bits, which the library for tests makes no more (openssl genrsa 1024); its other half is lost.
const WEAK_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDaUXxPSwcIquya+FgE+OO9h801
CpSEjn8ps2PLmW8goIkay8t/+KrnfjP+e33cvYV/Ix+hbchv2lmuc9lUx1prigk3
Tea76qhMETKLW9jFYNHB5rcCypHtf2a3aUmj/rP0ZKWts5m/6H554NhSJJee4V2J
tAoGAq+i5NxmGnG5mQIDAQAB
-----END PUBLIC KEY-----
";

fn issuers() -> Issuers {
    Issuers::new(&Limits::default())
}

fn trusting(entry: ExternalIssuer, keys: &str) -> Result<Tokens, Reason> {
    let mut issuers = issuers();
    issuers.add_fixed(entry, keys)?;
    Ok(Tokens::of(issuers))
}

fn verdict(tokens: &Tokens, token: &str) -> Result<String, Code> {
    let done = tokens.verify(token, NOW.into()).now_or_never().expect("nothing is fetched");
    done.map(|claims| claims.user.to_string()).map_err(|error| error.code)
}

const REFUSED: Result<String, Code> = Err(Code::BadCredentials);

#[test]
fn each_algorithm_verifies_under_its_own_name_and_under_no_other() {
    let (ec, ed) = (ec(), ed());
    let secrets = [secret(&[1; 32]), secret(&[2; 48]), secret(&[3; 64])];
    let pairs: [(&str, &Pair); 9] = [
        ("HS256", &secrets[0]),
        ("HS384", &secrets[1]),
        ("HS512", &secrets[2]),
        ("RS256", &RSA),
        ("RS384", &RSA),
        ("RS512", &RSA),
        ("PS256", &RSA),
        ("ES256", &ec),
        ("EdDSA", &ed),
    ];
    assert!(algorithms().eq(pairs.iter().map(|(name, _)| *name)), "every algorithm has a row here");
    for (name, pair) in pairs {
        let tokens = trusting(outside("corp", &[name]), &set(&[pair.jwk("k1")])).expect("an issuer");
        for (other, _) in pairs {
            let token = pair.forge(&header(other, Some("k1")), &body("corp").to_string());
            let expected = if other == name { Ok("corp:alice".to_owned()) } else { REFUSED };
            assert_eq!(verdict(&tokens, &token), expected, "a token of {other} where {name} is listed");
        }
    }
}

#[test]
fn a_private_key_signs_and_its_public_key_verifies_at_another_server() {
    let (ec, ed) = (ec(), ed());
    for (name, pair) in [("RS256", &*RSA), ("ES256", &ec), ("EdDSA", &ed)] {
        let own = OwnKeys::of_pem(&pair.private_pem(), "corp", "hailgate").expect("a key");
        let kid = own.verifying[0].kid().to_owned();
        let tokens = Tokens::of(issuers().own(own, "corp", "hailgate"));
        let grant = Grant {
            user: UserId::parse("alice").expect("a user id"),
            ttl: std::time::Duration::from_secs(60),
            session: None,
            family: None,
            permissions: Vec::new(),
            tier: None,
        };
        let token = tokens.sign(&grant, NOW).expect("a token");
        assert_eq!(verdict(&tokens, &token), Ok("alice".to_owned()), "{name}");
        let other = trusting(outside("corp", &[name]), &pair.public_pem()).expect("an issuer");
        assert_eq!(verdict(&other, &token), Ok("corp:alice".to_owned()), "{name}: its name is its thumbprint");
        let unnamed = pair.forge(&header(name, None), &body("corp").to_string());
        assert!(verdict(&other, &unnamed).is_ok(), "{name}");
        assert!(kid.len() == 43 && !pair.private_pem().contains(&kid), "{name}");
    }
}

#[test]
fn of_several_secrets_the_first_signs_and_all_verify_by_name() {
    let (new, old) = ([5; 32], [6; 32]);
    let own = |secrets: &[&[u8]]| {
        OwnKeys::of_secrets(secrets, "hailgate", "hailgate")
            .map(|own| Tokens::of(issuers().own(own, "hailgate", "hailgate")))
    };
    let kid =
        |secret: &[u8]| OwnKeys::of_secrets(&[secret], "hailgate", "hailgate").expect("a key").verifying[0].kid.clone();
    let both = own(&[&new, &old]).expect("keys");
    let by = |pair: &[u8], kid: Option<&str>| secret(pair).forge(&header("HS256", kid), &body("hailgate").to_string());
    assert!(verdict(&both, &by(&new, Some(&kid(&new)))).is_ok());
    assert!(verdict(&both, &by(&old, Some(&kid(&old)))).is_ok());
    assert_eq!(verdict(&both, &by(&old, Some(&kid(&new)))), REFUSED, "the name of another key");
    assert_eq!(verdict(&both, &by(&new, None)), REFUSED, "without a name two keys fit");
    assert!(verdict(&own(&[&new]).expect("a key"), &by(&new, None)).is_ok(), "without a name the only one fits");
    assert!(own(&[&new, &new]).is_err() && own(&[]).is_err() && own(&[&[1; 31]]).is_err());
    assert!(verdict(&Tokens::new(SECRET, "hailgate", "hailgate").expect("a key"), &by(&new, None)).is_err());
}

#[test]
fn a_key_is_meant_by_its_name_or_by_being_the_only_one() {
    let (one, two) = (ed(), ed());
    let keys = set(&[one.jwk("a"), two.jwk("b"), RSA.jwk("c")]);
    let tokens = trusting(outside("corp", &["EdDSA", "RS256"]), &keys).expect("an issuer");
    let by = |pair: &Pair, alg: &str, kid| verdict(&tokens, &pair.forge(&header(alg, kid), &body("corp").to_string()));
    assert!(by(&one, "EdDSA", Some("a")).is_ok() && by(&two, "EdDSA", Some("b")).is_ok());
    for (pair, alg, kid) in [
        (&one, "EdDSA", Some("b")),
        (&one, "EdDSA", Some("c")),
        (&one, "EdDSA", Some("A")),
        (&one, "EdDSA", Some("d")),
        (&one, "EdDSA", None),
        (&OTHER_RSA, "RS256", None),
        (&OTHER_RSA, "RS256", Some("c")),
    ] {
        assert_eq!(by(pair, alg, kid), REFUSED, "{alg} {kid:?}");
    }
    assert!(by(&RSA, "RS256", None).is_ok(), "the only RSA key");
    let same = set(&[one.jwk("a"), two.jwk("a")]);
    let tokens = trusting(outside("corp", &["EdDSA"]), &same).expect("an issuer");
    assert_eq!(verdict(&tokens, &one.forge(&header("EdDSA", Some("a")), &body("corp").to_string())), REFUSED);
}

#[test]
fn two_issuers_whose_keys_have_the_same_name_stay_two() {
    let (one, two) = (ed(), ed());
    let mut issuers = issuers();
    issuers.add_fixed(outside("one", &["EdDSA"]), &set(&[one.jwk("k1")])).expect("an issuer");
    issuers.add_fixed(outside("two", &["EdDSA"]), &set(&[two.jwk("k1")])).expect("an issuer");
    let tokens = Tokens::of(issuers);
    let by = |pair: &Pair, issuer| verdict(&tokens, &pair.forge(&header("EdDSA", Some("k1")), &body(issuer).to_string()));
    assert_eq!((by(&one, "one"), by(&two, "two")), (Ok("one:alice".to_owned()), Ok("two:alice".to_owned())));
    assert_eq!((by(&one, "two"), by(&two, "one")), (REFUSED, REFUSED));
}

#[test]
fn weak_private_and_broken_keys_are_refused_at_the_start() {
    let ed = ed();
    let rsa = |n: usize| with(RSA.jwk("k"), "n", json!(URL_SAFE_NO_PAD.encode(vec![0xff; n])));
    let off_curve = with(ec().jwk("k"), "y", json!(URL_SAFE_NO_PAD.encode([1; 32])));
    let table = [
        ("RSA of 1024 bits in PEM", "RS256", WEAK_PEM.to_owned()),
        ("RSA of 1024 bits", "RS256", rsa(128).to_string()),
        ("RSA of 2040 bits", "PS256", rsa(255).to_string()),
        ("RSA of 16384 bits", "RS256", rsa(2_048).to_string()),
        (
            "RSA of 1024 bits behind zeros",
            "RS256",
            with(RSA.jwk("k"), "n", json!(URL_SAFE_NO_PAD.encode([vec![0; 128], vec![0xff; 128]].concat()))).to_string(),
        ),
        ("a secret of 31 bytes", "HS256", secret(&[1; 31]).jwk("k").to_string()),
        ("a secret of 47 bytes", "HS384", secret(&[1; 47]).jwk("k").to_string()),
        ("a secret of 63 bytes", "HS512", secret(&[1; 63]).jwk("k").to_string()),
        ("a point that is not on the curve", "ES256", off_curve.to_string()),
        ("an Ed25519 key of 31 bytes", "EdDSA", with(ed.jwk("k"), "x", json!(URL_SAFE_NO_PAD.encode([1; 31]))).to_string()),
        ("one weak key of two", "RS256", set(&[RSA.jwk("a"), rsa(128)])),
        ("a private key in PEM", "EdDSA", ed.private_pem()),
        ("a private key in a JWK", "EdDSA", with(ed.jwk("k"), "d", json!("AAAA")).to_string()),
        ("a certificate", "RS256", RSA.public_pem().replace("PUBLIC KEY", "CERTIFICATE")),
        ("a PEM that is cut", "EdDSA", ed.public_pem()[..60].to_owned()),
        ("no key", "EdDSA", set(&[])),
        ("nothing", "EdDSA", String::new()),
        ("another JSON", "EdDSA", "[1]".to_owned()),
        ("a key of another family", "RS256", ed.public_pem()),
        ("a key for encryption", "EdDSA", with(ed.jwk("k"), "use", json!("enc")).to_string()),
        ("a key that only signs", "EdDSA", with(ed.jwk("k"), "key_ops", json!(["sign"])).to_string()),
        ("a key of another algorithm", "RS256", with(RSA.jwk("k"), "alg", json!("PS256")).to_string()),
        ("a curve that is not taken", "ES256", with(ec().jwk("k"), "crv", json!("P-384")).to_string()),
        ("too many keys", "EdDSA", set(&vec![ed.jwk("k"); 65])),
    ];
    for (what, algorithm, keys) in table {
        assert!(trusting(outside("corp", &[algorithm]), &keys).is_err(), "{what}");
    }
    let two = trusting(outside("corp", &["RS256", "PS256"]), &RSA.public_pem());
    assert!(two.is_err(), "a key is used with one algorithm");
    let named = with(RSA.jwk("k"), "alg", json!("PS256")).to_string();
    assert!(trusting(outside("corp", &["RS256", "PS256"]), &named).is_ok(), "unless it says which");
    let mixed = set(&[with(ed.jwk("a"), "use", json!("enc")), json!({"kty": "AKP", "pub": "x"}), ed.jwk("b")]);
    assert!(trusting(outside("corp", &["EdDSA"]), &mixed).is_ok(), "keys for other purposes are no fault");
    for pem in
        [ed.public_pem(), WEAK_PEM.to_owned(), "x".to_owned(), ed.private_pem().replace("PRIVATE", "ENCRYPTED PRIVATE")]
    {
        assert!(OwnKeys::of_pem(&pem, "hailgate", "hailgate").is_err());
    }
}

#[test]
fn issuers_that_could_be_taken_for_one_another_are_refused() {
    let keys = ed().public_pem();
    let entry = || outside("corp", &["EdDSA"]);
    let own = OwnKeys::of_secrets(&[SECRET], "hailgate", "hailgate").expect("a key");
    let mut issuers = issuers().own(own, "hailgate", "hailgate");
    issuers.add_fixed(entry(), &keys).expect("an issuer");
    let named = |issuer: &str, prefix: &str| {
        let mut entry = ExternalIssuer { prefix: prefix.to_owned(), ..entry() };
        entry.rules.issuer = issuer.to_owned();
        entry
    };
    for (issuer, prefix) in [
        ("corp", "other"),
        ("other", "corp"),
        ("hailgate", "other"),
        ("", "other"),
        ("other", ""),
        ("other", "a:b"),
        ("other", "system"),
        ("other", "a b"),
        ("other", &"x".repeat(127)),
    ] {
        assert!(issuers.add_fixed(named(issuer, prefix), &keys).is_err(), "{issuer:?} {prefix:?}");
    }
    issuers.add_fixed(named("other", "other"), &keys).expect("an issuer of its own");
}
