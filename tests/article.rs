//! The numbers of the source article.

use crate::support::shell;

#[test]
fn affine_matches_the_article() {
    let json = shell("nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json --dout 1 --json").json();
    assert_eq!(json["y"].to_string(), "[[8.0,22.0,32.0],[5.0,10.0,14.0],[9.0,22.0,32.0]]");
    assert_eq!(json["dx"].to_string(), "[[1.0,1.0],[2.0,4.0],[3.0,6.0]]");
}

#[test]
fn affine_gradients_of_the_sum_match_the_article() {
    let json = shell("nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json --json").json();
    assert_eq!(json["dx"].to_string(), "[[6.0,11.0],[6.0,11.0],[6.0,11.0]]");
    assert_eq!(json["dw"].to_string(), "[[8.0,8.0,8.0],[8.0,8.0,8.0]]");
    assert_eq!(json["db"].to_string(), "[3.0,3.0,3.0]");
}

#[test]
fn cross_entropy_matches_the_article_to_the_last_digit() {
    let ran = shell("nnlayer xent --y 0.1,0.1,0.8 --t 0,0,1");
    assert!(ran.quiet().contains("0.2231435511892097\n"));
    assert!(ran.text().contains("[ 0.1  0.1 -0.2]\n"));
    // 0.8 − 1 in doubles.
    assert!(
        shell("nnlayer xent --y 0.1,0.1,0.8 --t 0,0,1 --json").text().contains("\"dx\":[0.1,0.1,-0.19999999999999996]")
    );
}

#[test]
fn softmax_does_not_overflow() {
    assert_eq!(
        shell("nnlayer softmax --x 1000,1001,1002 --only y").quiet(),
        "y = softmax(x)  (3)\n[0.09003057 0.24472847 0.66524096]\n"
    );
}
