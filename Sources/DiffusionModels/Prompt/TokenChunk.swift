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
