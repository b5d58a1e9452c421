import DiffusionModels
import Testing

@Suite("CLIP tokenizer against transformers")
struct TokenizerTests {
    @Test("ids of every string, exactly", arguments: try TokenizerFixture.names)
    func ids(name: String) throws {
        let fixture = try TokenizerFixture.named(name)
        let tokenizer = try fixture.tokenizer(name)
        let strings = try TokenizerFixture.strings()
        #expect(strings.count == fixture.ids.count)
        #expect(strings.count > 2000)
        var disagreements: [String] = []
        for (string, expected) in zip(strings, fixture.ids) {
            let ids = tokenizer.encode(string).map(String.init).joined(separator: " ")
            if ids != expected {
                let scalars = string.unicodeScalars.prefix(40).map { String($0.value, radix: 16) }
                disagreements.append(
                    "[\(scalars.joined(separator: " "))]: \(ids.prefix(200)), not \(expected.prefix(200))")
            }
        }
        #expect(disagreements.isEmpty, "\(disagreements.count): \(disagreements.prefix(10).joined(separator: "\n"))")
    }

    @Test("padded and truncated prompts", arguments: try TokenizerFixture.names)
    func prompts(name: String) throws {
        let fixture = try TokenizerFixture.named(name)
        let tokenizer = try fixture.tokenizer(name)
        let strings = try TokenizerFixture.strings()
        #expect(fixture.prompts.count >= 60)
        for prompt in fixture.prompts {
            let tokenized = try tokenizer.prompt(strings[prompt.string], contextLength: prompt.length)
            #expect(tokenized.ids == prompt.ids)
            let count = tokenizer.encode(strings[prompt.string]).count
            #expect((tokenized.truncatedText != nil) == (count > prompt.length - 2))
        }
    }

    @Test("start, end, padding and the stated length")
    func specialTokens() throws {
        for name in try TokenizerFixture.names {
            let fixture = try TokenizerFixture.named(name)
            let tokenizer = try fixture.tokenizer(name)
            #expect(tokenizer.startToken == fixture.start)
            #expect(tokenizer.endToken == fixture.end)
            #expect(tokenizer.padToken == fixture.pad)
        }
        let first = try TokenizerFixture.named("sd1")
        #expect(first.pad == first.end)
        #expect(try first.tokenizer("sd1").modelMaximumLength == 77)
        #expect(try TokenizerFixture.named("sd2").pad == 0)
    }

    @Test("a dropped end is quoted as it was written")
    func truncation() throws {
        let tokenizer = try TokenizerFixture.named("sd1").tokenizer("sd1")
        let kept = "1 2 3 "
        let dropped = "Ein E\u{301}clair\t für  MICH ☕️"
        let prompt = try tokenizer.prompt(kept + dropped + " \n", contextLength: 5)
        #expect(prompt.truncatedText.map { Array($0.unicodeScalars) } == Array(dropped.unicodeScalars))
        #expect(try tokenizer.prompt(kept, contextLength: 5).truncatedText == nil)
        #expect(try tokenizer.prompt("a", contextLength: 2).truncatedText == "a")
    }

    @Test("a word of a million letters is encoded")
    func longWord() throws {
        let tokenizer = try TokenizerFixture.named("sd1").tokenizer("sd1")
        let short = tokenizer.encode(String(repeating: "abc", count: 3334))
        let long = tokenizer.encode(String(repeating: "abc", count: 333_400))
        // Quadratic merging would take hours here.
        #expect(long.count > 50 * short.count)
    }
}
