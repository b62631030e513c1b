//! Names of languages (BCP 47) and of time zones (the IANA database) in the spelling that is stored.

use super::codes::{COUNTRIES, is_one};
use icu_time::zone::iana::IanaParserExtended;

/// The languages of ISO 639-1, each with its codes of three letters in ISO 639-2. BCP 47 has only the short one.
const LANGUAGES: &str = "aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul \
    bi:bis bm:bam bn:ben bo:bod:tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces:cze cu:chu cv:chv \
    cy:cym:wel da:dan de:deu:ger dv:div dz:dzo ee:ewe el:ell:gre en:eng eo:epo es:spa et:est eu:eus:baq \
    fa:fas:per ff:ful fi:fin fj:fij fo:fao fr:fra:fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau \
    he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye:arm hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido \
    is:isl:ice it:ita iu:iku ja:jpn jv:jav ka:kat:geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor \
    kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav \
    mg:mlg mh:mah mi:mri:mao mk:mkd:mac ml:mal mn:mon mr:mar ms:msa:may mt:mlt my:mya:bur na:nau nb:nob nd:nde \
    ne:nep ng:ndo nl:nld:dut nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli \
    pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron:rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin \
    sk:slk:slo sl:slv sm:smo sn:sna so:som sq:sqi:alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel \
    tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd \
    uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho:chi zu:zul";

/// Languages that stand for a group, of which one may follow (`zh-yue`).
const GROUPS: [&str; 8] = ["ar", "kok", "lv", "ms", "sgn", "sw", "uz", "zh"];

/// Regions that are no countries of ISO 3166-1, or have no final code there: CLDR knows them.
const OTHER_REGIONS: &str = "AC CP DG EA EU IC TA UN XK";

/// `de_ch`, `DE-ch`, `deu-CH`, `de_CH.UTF-8`, `de-CH-u-co-phonebk` → `de-CH`: language, script, region and variants.
/// Extensions, which say how to sort or count, are dropped. Languages of two letters and regions must exist.
pub fn normal_locale(text: &str) -> Option<String> {
    let (text, modifier) = text.trim().split_once('@').unwrap_or((text.trim(), ""));
    let modifier = Modifier::named(modifier);
    let text = text.split('.').next().unwrap_or_default();
    let mut parts = text.split(['-', '_']).peekable();
    let language = parts.next()?;
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    if !((2..=3).contains(&language.len()) && letters(language)) {
        return None;
    }
    let mut language = language.to_ascii_lowercase();
    // `zh-yue`: a language within a group of languages has a code of its own, which stands alone.
    if GROUPS.contains(&language.as_str())
        && let Some(inner) = parts.next_if(|part| part.len() == 3 && letters(part))
    {
        language = inner.to_ascii_lowercase();
    }
    let mut tag = present_language(&language)?.to_owned();
    if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
        tag.push('-');
        tag.push_str(&script[..1].to_ascii_uppercase());
        tag.push_str(&script[1..].to_ascii_lowercase());
    }
    if let Modifier::Script(script) = modifier {
        tag.push('-');
        tag.push_str(script);
    }
    let is_region = |part: &&str| {
        (part.len() == 2 && letters(part))
            || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some(region) = parts.next_if(is_region) {
        let region = present_region(region.to_ascii_uppercase())?;
        tag.push('-');
        tag.push_str(&region);
    }
    for part in parts {
        let word = part.bytes().all(|b| b.is_ascii_alphanumeric());
        match part.len() {
            // An extension begins here and extends to the end.
            1 if word => break,
            5..=8 if word => {}
            4 if word && part.as_bytes()[0].is_ascii_digit() => {}
            _ => return None,
        }
        tag.push('-');
        tag.push_str(&part.to_ascii_lowercase());
    }
    if let Modifier::Variant(variant) = modifier {
        tag.push('-');
        tag.push_str(variant);
    }
    (tag.len() <= 35 && modifier != Modifier::Unknown).then_some(tag)
}

/// What stands behind the `@` in names of locales of Unix (`sr_RS@latin`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Modifier {
    /// It says nothing about the language.
    Other,
    Script(&'static str),
    Variant(&'static str),
    Unknown,
}

impl Modifier {
    /// Those of glibc.
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" | "euro" | "abegede" | "saaho" => Modifier::Other,
            "latin" | "latn" => Modifier::Script("Latn"),
            "cyrillic" | "cyrl" => Modifier::Script("Cyrl"),
            "devanagari" => Modifier::Script("Deva"),
            "arabic" => Modifier::Script("Arab"),
            "iqtelif" => Modifier::Script("Latn"),
            "valencia" => Modifier::Variant("valencia"),
            // Keywords of ICU, which say how to sort or count.
            name if name.contains('=') => Modifier::Other,
            _ => Modifier::Unknown,
        }
    }
}

/// `europe/berlin`, `Europe/Kiev`, `US/Eastern` → `Europe/Berlin`, `Europe/Kyiv`, `America/New_York`.
pub fn normal_timezone(text: &str) -> Option<&'static str> {
    let found = IanaParserExtended::new().parse(text.trim());
    match found.canonical {
        _ if found.time_zone.is_unknown() => None,
        "Etc/UTC" | "Etc/GMT" => Some("UTC"),
        // Since 2024 these are other names of places.
        "EST5EDT" => Some("America/New_York"),
        "CST6CDT" => Some("America/Chicago"),
        "MST7MDT" => Some("America/Denver"),
        "PST8PDT" => Some("America/Los_Angeles"),
        // What is no place is refused by the database, too.
        zone => zone.contains('/').then_some(zone),
    }
}

/// The present code of a language that has two, or had another one, which old Java and Android still send. `None` for
/// two letters that no language has.
fn present_language(code: &str) -> Option<&str> {
    let code = match code {
        "iw" => "he",
        "in" => "id",
        "ji" => "yi",
        "jw" => "jv",
        "mo" | "mol" => "ro",
        // Mandarin is what `zh` means.
        "cmn" => "zh",
        code => code,
    };
    let mut known = LANGUAGES.split(' ');
    let short = known.find(|codes| codes.split(':').any(|one| one == code));
    match short {
        Some(codes) => codes.get(..2),
        None => (code.len() == 3).then_some(code),
    }
}

/// `None` for two letters that no region has.
fn present_region(code: String) -> Option<String> {
    let code = if code == "UK" { "GB".to_owned() } else { code };
    let exists = code.len() == 3 || is_one(&code, 2, COUNTRIES) || is_one(&code, 2, OTHER_REGIONS);
    exists.then_some(code)
}
