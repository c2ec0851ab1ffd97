//! Records as TRL and `datasets` have them: plain texts, `messages`, the prompt in front of both answers.

use laurel_records::{Message, Role};

use super::{file, problems, records, says};

#[test]
fn a_plain_text_is_one_message() {
    let lines = r#"{"id":7,"prompt":"q","completion":"a"}"#;
    let found = records::demonstrations(file(lines).path()).unwrap().remove(0);
    assert_eq!((found.id.as_str(), found.prompt), ("7", vec![says(Role::User, "q")]));
    assert_eq!(found.completion, [says(Role::Assistant, "a")]);
    let prompt = records::prompts(file(r#"{"id":null,"prompt":"q"}"#).path()).unwrap().remove(0);
    assert_eq!((prompt.id.as_str(), prompt.prompt), ("line 1", vec![says(Role::User, "q")]));
    let lines = concat!(
        r#"{"prompt":"q","chosen":"good","rejected":"bad"}"#,
        "\n",
        r#"{"prompt":"q","responses":["good",{"content":"bad"}],"ranks":[1,2]}"#,
    );
    for found in records::rankings(file(lines).path()).unwrap() {
        assert_eq!(found.prompt, [says(Role::User, "q")]);
        assert_eq!([&found.responses[0].content, &found.responses[1].content], ["good", "bad"]);
    }
}

#[test]
fn the_last_of_the_messages_is_the_answer() {
    let conversation = r#"{"role":"system","content":"s"},{"role":"user","content":"q"}"#;
    let answer = r#"{"role":"assistant","content":"a"}"#;
    let prompt: [Message; 2] = [says(Role::System, "s"), says(Role::User, "q")];
    // Data sets often have the first question beside the conversation.
    let line = format!(r#"{{"prompt":"q","messages":[{conversation},{answer}]}}"#);
    let found = records::demonstrations(file(&line).path()).unwrap().remove(0);
    assert_eq!((&found.prompt[..], &found.completion[..]), (&prompt[..], &[says(Role::Assistant, "a")][..]));
    for messages in [conversation.to_owned(), format!("{conversation},{answer}")] {
        let line = format!(r#"{{"messages":[{messages}]}}"#);
        assert_eq!(records::prompts(file(&line).path()).unwrap()[0].prompt, prompt);
    }
    let lines = format!("{{\"messages\":[{conversation}]}}\n{{\"messages\":[{answer}]}}");
    assert_eq!(
        problems(records::demonstrations, &lines),
        [
            "line 1: messages: must end with a message of the assistant's, the answer that is learned",
            "line 2: messages: has nothing before the answer",
        ]
    );
}

#[test]
fn what_both_conversations_begin_with_is_the_prompt() {
    let message = |role: &str, content: &str| format!(r#"{{"role":"{role}","content":"{content}"}}"#);
    let (question, answer) = (message("user", "q"), |content: &str| message("assistant", content));
    // As UltraFeedback has it, and as TRL calls an implicit prompt; two answers may be the same.
    for (prompt, rejected) in [(r#""prompt":"q","#, "bad"), ("", "bad"), ("", "good")] {
        let (chosen, rejected) = (answer("good"), answer(rejected));
        let line = format!(r#"{{{prompt}"chosen":[{question},{chosen}],"rejected":[{question},{rejected}]}}"#);
        let found = records::rankings(file(&line).path()).unwrap().remove(0);
        assert_eq!((&found.prompt[..], found.ranks), (&[says(Role::User, "q")][..], vec![1, 2]));
        assert_eq!(found.responses[0].content, "good");
    }
    let (a, b) = (message("user", "other"), answer("good"));
    let line = format!(r#"{{"chosen":[{question},{b}],"rejected":[{a},{b}]}}"#);
    assert_eq!(problems(records::rankings, &line), ["line 1: missing field `prompt`"]);
}

#[test]
fn the_number_of_a_line_names_a_record_and_is_no_id_of_its_prompt() {
    let lines = "{\"prompt\":\"q\"}\n{\"id\":\"line up\",\"prompt\":\"q\"}\n{\"id\":2,\"prompt\":\"q\"}";
    let found = records::prompts(file(lines).path()).unwrap();
    assert_eq!(found[0].id, "line 1");
    let given: Vec<Option<String>> = found.iter().map(records::given_id).collect();
    assert_eq!(given, [None, Some("line up".to_owned()), Some("2".to_owned())]);
    let found = records::responses(file(r#"{"prompt":"q","responses":["a"]}"#).path()).unwrap().remove(0);
    assert_eq!(found.prompt_id.as_deref(), Some("line 1"));
}

#[test]
fn null_is_a_field_that_is_absent() {
    // As pandas and `datasets` write records of which others have the field.
    let line = r#"{"id":"p","prompt":"q","language":null,"tags":null,"source":null}"#;
    let prompt = records::prompts(file(line).path()).unwrap().remove(0);
    assert!(prompt.tags.is_empty() && prompt.extra.is_empty());
    let lines = concat!(
        r#"{"prompt":"q","chosen":"good","rejected":"bad","responses":null,"ranks":null}"#,
        "\n",
        r#"{"prompt":"q","chosen":null,"rejected":null,"responses":["good","bad"],"ranks":[1,2]}"#,
    );
    for found in records::rankings(file(lines).path()).unwrap() {
        assert_eq!([&found.responses[0].content, &found.responses[1].content], ["good", "bad"]);
    }
    let line = r#"{"prompt":"q","responses":["good","bad"],"ranks":null}"#;
    assert_eq!(problems(records::rankings, line), ["line 1: missing field `ranks`"]);
}

#[test]
fn answers_with_ranks_are_a_ranking_though_another_program_says_beside_them_which_was_chosen() {
    let ranking = r#""prompt":"q","responses":["fair","good","bad"],"ranks":[2,1,3]"#;
    let more = [r#""chosen":1"#, r#""chosen":"good","rejected":"bad""#, r#""rejected":[]"#];
    let lines: Vec<String> = more.iter().map(|more| format!("{{{ranking},{more}}}")).collect();
    for found in records::rankings(file(&lines.join("\n")).path()).unwrap() {
        assert_eq!((found.responses.len(), found.ranks), (3, vec![2, 1, 3]));
    }
    // Ranks alone make none.
    let pair = r#"{"prompt":"q","chosen":"good","rejected":"bad","ranks":"A"}"#;
    assert_eq!(records::rankings(file(pair).path()).unwrap()[0].ranks, [1, 2]);
}

#[test]
fn fields_that_stand_as_json_in_extra_are_fields() {
    let ranking = r#""prompt":"q","responses":["good","bad"],"ranks":[1,2]"#;
    let line = format!(r#"{{{ranking},"extra":"{{\"margin\":2.5,\"note\":null,\"ranks\":[2,1]}}"}}"#);
    let found = records::rankings(file(&line).path()).unwrap().remove(0);
    assert_eq!((found.margin, found.ranks), (Some(2.5), vec![1, 2]));
    assert!(found.extra.is_empty());
    // What is no object of fields is a field.
    let line = format!(r#"{{{ranking},"extra":"[1]"}}"#);
    assert_eq!(records::rankings(file(&line).path()).unwrap()[0].extra["extra"], "[1]");
}
