//! The proof of a token in page links: where every call must carry one, the next page must be asked for with it as well.

use serde_json::Value;

use crate::body::Body;
use crate::params::Params;

/// The parameters of a proof, as a call carried them.
#[derive(Debug)]
pub(super) struct Proof(Vec<(&'static str, String)>);

impl Proof {
    pub(super) fn of(params: &Params) -> Self {
        let given = |name| params.text(name).map(|text| (name, text));
        Self(["appsecret_proof", "appsecret_time"].into_iter().filter_map(given).collect())
    }

    /// Adds them to the links of every page in an answer.
    pub(super) fn carried(&self, mut body: Body) -> Body {
        if !self.0.is_empty() {
            self.add(body.tree());
        }
        body
    }

    fn add(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.add(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::Object(paging) if name == "paging" => {
                            paging.values_mut().for_each(|link| self.add_to(link));
                        }
                        other => self.add(other),
                    }
                }
            }
            _ => {}
        }
    }

    fn add_to(&self, link: &mut Value) {
        let Value::String(href) = link else { return };
        let Ok(mut address) = url::Url::parse(href) else { return };
        address.query_pairs_mut().extend_pairs(&self.0);
        *href = address.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn links_carry_the_proof_however_deep_and_cursors_do_not() {
        let proof = Proof::of(&Params::from_form("appsecret_proof=ab&limit=1"));
        let paging = json!({ "next": "http://h/v26.0/1/ads?after=x", "cursors": { "after": "x" } });
        let body = json!({ "data": [{ "ads": { "paging": paging } }], "paging": paging });
        let carried = proof.carried(body.into()).into_tree();
        let expected =
            json!({ "next": "http://h/v26.0/1/ads?after=x&appsecret_proof=ab", "cursors": { "after": "x" } });
        assert_eq!((&carried["paging"], &carried["data"][0]["ads"]["paging"]), (&expected, &expected));
    }
}
