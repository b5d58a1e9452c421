import Failures

/// Turns prompts into what the text encoder reads.
public struct PromptReader: Sendable {
    /// More are no prompt, and every layer of the UNet would hold their keys and values.
    private static let mostChunks = 64

    private let tokenizer: CLIPTokenizer
    private let contextLength: Int
    private let vocabularySize: Int
    private let embeddings: [TextEmbedding]
    private let names: EmbeddingNames

    /// - Parameters:
    ///   - contextLength: the tokens of a chunk, with start and end.
    ///   - vocabularySize: the text encoder's; ids from it on are rows of embeddings.
    ///   - embeddings: none longer than a chunk, no two of one name.
    public init(
        _ tokenizer: CLIPTokenizer, contextLength: Int, vocabularySize: Int, embeddings: [TextEmbedding] = []
    ) {
        self.tokenizer = tokenizer
        self.contextLength = contextLength
        self.vocabularySize = vocabularySize
        self.embeddings = embeddings
        names = EmbeddingNames(embeddings.map(\.name))
    }

    /// The tokens of a chunk that are a prompt's.
    private var room: Int { contextLength - 2 }

    /// - Parameter option: what gives the prompt, for messages.
    /// - Throws: `Failure.usage` for what the syntax does not know, and for a prompt of too many chunks.
    public func read(_ prompt: String, _ syntax: PromptSyntax, givenBy option: String) throws -> TokenizedPrompt {
        switch syntax {
        case .plain: plain(prompt)
        case .a1111: try weighted(prompt, option)
        }
    }

    /// Whether both syntaxes read the prompt alike, embeddings aside.
    public func isReadAlike(_ prompt: String) -> Bool {
        PromptFragment.isPlain(prompt) && tokenizer.encode(prompt).count <= room
    }

    private func weighted(_ prompt: String, _ option: String) throws -> TokenizedPrompt {
        var builder = ChunkBuilder(room: room)
        for fragment in try PromptFragment.fragments(of: prompt, givenBy: option) {
            switch fragment {
            case .chunkEnd: builder.close()
            case .text(let text, let weight):
                // A context that has room for start and end alone reads nothing.
                for piece in pieces(of: text) where room > 0 { builder.add(piece, weight: weight) }
            }
        }
        builder.finish()
        guard builder.finished.count <= Self.mostChunks else {
            throw Failure.usage(
                "\(option): expected at most \(Self.mostChunks) chunks of \(room) tokens, found "
                    + "\(builder.finished.count); shorten the prompt, or have its end cut off with --prompt-syntax plain"
            )
        }
        return TokenizedPrompt(
            chunks: builder.finished.map(chunk), truncatedText: nil, usedEmbeddings: used(in: builder.finished))
    }

    private func plain(_ prompt: String) -> TokenizedPrompt {
        let pieces = pieces(of: prompt)
        var used = 0
        let kept = pieces.prefix { piece in
            used += piece.length
            return used <= room
        }.map { (piece: $0, weight: 1.0) }
        // Canonical ordering may swap marks, so the first dropped token need not have the least origin.
        let cut = pieces.dropFirst(kept.count).map(\.origin).min()
        return TokenizedPrompt(
            chunks: [chunk(of: kept)], truncatedText: cut.map { CLIPTokenizer.quote(prompt, from: $0) },
            usedEmbeddings: self.used(in: [kept]))
    }

    private func pieces(of text: String) -> [PromptPiece] {
        names.split(text).flatMap { segment in
            switch segment {
            case .embedding(let index, let origin):
                [
                    PromptPiece(
                        content: .embedding(index), length: embeddings[index].count, isComma: false, origin: origin)
                ]
            case .text(let text, let origin):
                tokenizer.tokens(of: text).map { token in
                    PromptPiece(
                        content: .token(token.id), length: 1, isComma: token.id == tokenizer.commaToken,
                        origin: origin + token.origin)
                }
            }
        }
    }

    private func chunk(of pieces: [(piece: PromptPiece, weight: Double)]) -> TokenizedPrompt.Chunk {
        var ids: [Int32] = []
        var vectors: [Float] = []
        var rows = 0
        var weights: [Float] = [1]
        for (piece, weight) in pieces {
            weights += [Float](repeating: Float(weight), count: piece.length)
            switch piece.content {
            case .token(let id): ids.append(id)
            case .embedding(let index):
                ids += (rows..<rows + piece.length).map { Int32(clamping: vocabularySize + $0) }
                vectors += embeddings[index].vectors
                rows += piece.length
            }
        }
        weights += [Float](repeating: 1, count: contextLength - weights.count)
        return TokenizedPrompt.Chunk(
            tokens: TokenChunk(ids: tokenizer.filled(ids, to: contextLength), vectors: vectors), weights: weights)
    }

    private func used(in chunks: [[(piece: PromptPiece, weight: Double)]]) -> Set<Int> {
        var used: Set<Int> = []
        for case .embedding(let index) in chunks.joined().map(\.piece.content) { used.insert(index) }
        return used
    }
}
