//! Parses the answers of both families of image models.

use serde::Deserialize;

/// The pictures of one request, and why some are missing.
#[derive(Debug, Deserialize)]
#[serde(from = "WireAnswer")]
pub struct Answer {
    /// The pictures, in base64.
    pub images: Vec<String>,
    /// The reason why images are missing.
    pub refusal: Option<String>,
}

/// The images of a response, in the form of each family.
#[derive(Deserialize)]
struct WireAnswer {
    #[serde(default)]
    images: Option<Vec<String>>,
    /// Amazon's.
    #[serde(default)]
    error: Option<String>,
    /// Stability's, one a picture.
    #[serde(default)]
    finish_reasons: Option<Vec<Option<String>>>,
}

impl From<WireAnswer> for Answer {
    fn from(WireAnswer { images, error, finish_reasons }: WireAnswer) -> Self {
        let reasons = finish_reasons.unwrap_or_default();
        let refused = |place: usize| reasons.get(place).is_some_and(Option::is_some);
        let images = images.unwrap_or_default().into_iter().enumerate();
        // A picture that was taken away may have left a blurred one, or none, in its place.
        let images = images.filter(|(place, image)| !image.is_empty() && !refused(*place));
        let images = images.map(|(_, image)| image).collect();
        let refusal = error.filter(|error| !error.is_empty());
        Self { images, refusal: refusal.or_else(|| reasons.into_iter().flatten().next()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_refusals_are_read_in_either_familys_answer() {
        for (json, images, refusal) in [
            (r#"{"images": ["a", "b"]}"#, &["a", "b"][..], None),
            (r#"{"images": ["a"], "error": null}"#, &["a"], None),
            (r#"{"images": ["a"], "error": "one is gone"}"#, &["a"], Some("one is gone")),
            (r#"{"images": null, "error": "all are gone"}"#, &[], Some("all are gone")),
            (r#"{"images": ["a"], "seeds": [1], "finish_reasons": [null]}"#, &["a"], None),
            (
                r#"{"seeds": [1], "finish_reasons": ["Filter reason: prompt"]}"#,
                &[],
                Some("Filter reason: prompt"),
            ),
            (
                r#"{"images": ["blurred"], "finish_reasons": ["Filter reason: output image"]}"#,
                &[],
                Some("Filter reason: output image"),
            ),
        ] {
            let answer: Answer = serde_json::from_str(json).unwrap();
            assert_eq!(
                (&*answer.images, answer.refusal.as_deref()),
                (images_of(images).as_slice(), refusal),
                "{json}"
            );
        }
    }

    fn images_of(images: &[&str]) -> Vec<String> {
        images.iter().map(|image| (*image).to_owned()).collect()
    }
}
