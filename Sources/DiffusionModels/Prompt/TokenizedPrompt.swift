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
