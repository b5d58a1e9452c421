import DiffusionModels
import Failures
import TensorKernels
import Testing

/// Weights, chunks and embeddings' names against scripts/reference/prompts.py.
@Suite struct PromptTests {
    /// Each has a tokenizer and a context of its own.
    @Test(arguments: ["sd1", "sd2", "odd"])
    func tokensAndWeights(model: String) throws {
        let fixture = try PromptFixture.read()
        let embeddings = try fixture.embeddings(of: model, in: PromptFixture.tensors())
        let subject = try PromptModel(model, embeddings)
        var seen = (refused: 0, several: 0, weighted: 0)
        for test in fixture.cases where test.model == model {
            guard let expected = test.chunks else {
                let refusal = try failure { _ = try subject.read(test.prompt, test.syntax) }
                #expect(refusal.kind == .usage && refusal.message.contains("--prompt-syntax plain"))
                seen.refused += 1
                continue
            }
            let prompt = try subject.read(test.prompt, test.syntax)
            #expect(prompt.chunks.count == expected.count, "\(test.prompt)")
            seen.several += expected.count > 1 ? 1 : 0
            for (chunk, expected) in zip(prompt.chunks, expected) {
                check(chunk, expected, subject, embeddings, test.prompt)
                seen.weighted += expected.weights.isEmpty ? 0 : 1
            }
        }
        #expect(seen.refused > 10 && seen.several > 5 && seen.weighted > 20)
    }

    private func check(
        _ chunk: TokenizedPrompt.Chunk, _ expected: PromptFixture.Chunk, _ subject: PromptModel,
        _ embeddings: [TextEmbedding], _ prompt: String
    ) {
        let ids = chunk.tokens.ids
        let count = expected.tokens.count
        #expect(ids.count == subject.length && ids.first == subject.tokenizer.startToken, "\(prompt)")
        #expect(ids[count + 1] == subject.tokenizer.endToken, "\(prompt)")
        #expect(ids.dropFirst(count + 2).allSatisfy { $0 == subject.tokenizer.padToken }, "\(prompt)")
        for (id, token) in zip(ids.dropFirst(), expected.tokens) {
            switch token {
            case .id(let expected): #expect(id == expected, "\(prompt)")
            case .row(let place):
                let embedding = embeddings[place[0]]
                let width = embedding.vectors.count / embedding.count
                let row = Int(id) - subject.vocabularySize
                guard row >= 0, (row + 1) * width <= chunk.tokens.vectors.count else {
                    Issue.record("\(id) is no row in \(prompt)")
                    continue
                }
                #expect(
                    chunk.tokens.vectors[row * width..<(row + 1) * width]
                        == embedding.vectors[place[1] * width..<(place[1] + 1) * width], "\(prompt)")
            }
        }
        var weights = expected.weights.flatMap { [Double](repeating: $0[1], count: Int($0[0])) }
        if weights.isEmpty { weights = [Double](repeating: 1, count: count) }
        let all = [1] + weights + [Double](repeating: 1, count: subject.length - 1 - count)
        #expect(chunk.weights.count == all.count)
        #expect(zip(chunk.weights, all).allSatisfy { abs(Double($0) - $1) <= 1e-6 * abs($1) }, "\(prompt)")
    }

    /// The text encoder's states against transformers in float64: 1e-4 of their deviation.
    @Test func states() throws {
        let fixture = try PromptFixture.read()
        let tensors = try PromptFixture.tensors()
        let context = try ComputeContext(threads: 1)
        for (index, test) in fixture.encoded.enumerated() {
            let subject = try PromptModel(test.model, fixture.embeddings(of: test.model, in: tensors))
            let encoder = TextEncoder(
                try subject.folder.textEncoderConfiguration(), skippedLayers: test.skip - 1,
                weights: CheckpointWeights(try subject.folder.weights(of: .textEncoder)))
            let states = try subject.read(test.prompt, test.syntax).chunks.flatMap { chunk in
                try PromptWeighting.apply(
                    chunk.weights, to: try encoder(chunk.tokens, in: context), restoresMean: test.rescale,
                    givenBy: "--prompt")
            }
            let expected = try #require(tensors["states.\(index)"]).float32Values()
            #expect(states.count == expected.count)
            let mean = expected.reduce(0, +) / Float(expected.count)
            let variance = expected.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(expected.count)
            let largest = zip(states, expected).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
            #expect(largest < 1e-4 * variance.squareRoot(), "\(test.prompt)")
        }
    }

    /// A prompt without brackets in one chunk is what it always was: the same ids, and no weights to apply.
    @Test(arguments: ["", "a cat", "red: fox, snow", "é  ü\tx"])
    func plainWordsAreReadAlike(text: String) throws {
        let subject = try PromptModel("sd1")
        #expect(subject.reader.isReadAlike(text))
        #expect(try subject.read(text) == subject.read(text, .plain))
    }

    @Test(arguments: ["(a)", "a]", "a\\b", "a BREAK", "x AND y", String(repeating: "a ", count: 76)])
    func otherWordsAreNot(text: String) throws { #expect(try !PromptModel("sd1").reader.isReadAlike(text)) }

    /// An embedding is not cut in plain prompts either, and what is dropped is told from its name on.
    @Test func plainPromptsEndBeforeAnEmbedding() throws {
        let embedding = TextEmbedding(name: "Cat", vectors: [Float](repeating: 1, count: 3 * 20), count: 3)
        let subject = try PromptModel("odd", [embedding])
        let prompt = try subject.read("1 2 3 4 5 6 7 8 9 1 2 3 cAT dog", .plain)
        #expect(prompt.truncatedText == "cAT dog")
        #expect(prompt.usedEmbeddings.isEmpty && prompt.chunks[0].tokens.vectors.isEmpty)
        let fitting = try subject.read("1 2 3 4 5 6 7 8 9 1 2 cAT dog", .plain)
        #expect(fitting.usedEmbeddings == [0] && fitting.chunks[0].tokens.ids[12...14] == [610, 611, 612])
    }

    /// Hostile prompts end at once: too long, nested too deep, weights beyond numbers.
    @Test(arguments: [
        String(repeating: "a ", count: 64 * 75 + 1), String(repeating: "(", count: 1_000_000),
        String(repeating: "BREAK ", count: 100_000), "(a:9" + "0".repeated(39) + ")",
        "(a:" + "9".repeated(400) + ")", "(a:1.2.3)", "(a:...)",
    ])
    func isRefused(prompt: String) throws {
        let refusal = try failure { _ = try PromptModel("sd1").read(prompt) }
        #expect(refusal.kind == .usage && refusal.message.hasPrefix("--prompt: "))
        #expect(refusal.message.count < 400)
    }

    /// Weights that leave a mean of nothing, or numbers too large.
    @Test func weightsWithoutNumbers() throws {
        #expect(throws: Failure.self) {
            try PromptWeighting.apply([1, -1], to: [1, 1], restoresMean: true, givenBy: "--prompt")
        }
        #expect(
            try PromptWeighting.apply([1, -1], to: [1, 1], restoresMean: false, givenBy: "--prompt") == [1, -1])
        #expect(throws: Failure.self) {
            try PromptWeighting.apply([1, 3e38], to: [1, 2], restoresMean: false, givenBy: "--prompt")
        }
        #expect(try PromptWeighting.apply([1, 1], to: [0.1, -0.1], restoresMean: true, givenBy: "") == [0.1, -0.1])
    }
}

extension String {
    fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
