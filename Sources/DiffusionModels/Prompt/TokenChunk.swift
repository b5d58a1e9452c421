/// What the text encoder reads in one go: as many tokens as its context has.
public struct TokenChunk: Sendable, Equatable {
    /// Start, the prompt's tokens, end, padding. An id from the vocabulary's size on stands for a row of `vectors`.
    public var ids: [Int32]
    /// What takes the place of tokens' embeddings, `[rows, width]`, row-major.
    public var vectors: [Float]

    public init(ids: [Int32], vectors: [Float] = []) {
        self.ids = ids
        self.vectors = vectors
    }
}

/// A prompt in chunks, each of which the text encoder reads by itself.
public struct TokenizedPrompt: Sendable, Equatable {
    public struct Chunk: Sendable, Equatable {
        public let tokens: TokenChunk
        /// Of each token; start, end and padding weigh 1.
        public let weights: [Float]
    }

    /// One at least.
    public let chunks: [Chunk]
    /// The end of the prompt, in its own words, that was cut off; nil if all of it was read.
    public let truncatedText: String?
    /// The embeddings whose names are in the prompt, by their places in the list that was given.
    public let usedEmbeddings: Set<Int>
}
