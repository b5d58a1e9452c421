/// What can't be split over chunks: a token, or all vectors of an embedding.
struct PromptPiece: Sendable {
    enum Content: Sendable {
        case token(Int32)
        /// The place in the list of embeddings.
        case embedding(Int)
    }

    let content: Content
    /// How many of a chunk's tokens it takes.
    let length: Int
    let isComma: Bool
    /// Index of the scalar of its text at which it starts.
    let origin: Int
}

/// Fills chunks with pieces, as AUTOMATIC1111's web UI does: where a comma is near the end of one that is full, what
/// follows the comma goes into the next.
struct ChunkBuilder {
    /// How far back a comma may be.
    private static let reach = 20

    /// The tokens of a chunk, without start and end.
    let room: Int
    private(set) var finished: [[(piece: PromptPiece, weight: Double)]] = []
    private var open: [(piece: PromptPiece, weight: Double)] = []
    private var used = 0
    /// The last comma of the open chunk: its place among the pieces, and among the tokens.
    private var comma: (index: Int, position: Int)?

    init(room: Int) { self.room = room }

    /// - Precondition: the piece fits into an empty chunk.
    mutating func add(_ piece: PromptPiece, weight: Double) {
        precondition(piece.length <= room, "a piece fits into a chunk")
        if piece.isComma {
            comma = (open.count, used)
        } else if used == room, let comma, used - comma.position <= Self.reach {
            let moved = open[(comma.index + 1)...]
            open.removeSubrange((comma.index + 1)...)
            close()
            for (piece, weight) in moved { append(piece, weight) }
        }
        if used + piece.length > room { close() }
        append(piece, weight)
    }

    /// Ends the chunk, even an empty one.
    mutating func close() {
        finished.append(open)
        (open, used, comma) = ([], 0, nil)
    }

    /// Ends the last chunk.
    mutating func finish() {
        if !open.isEmpty || finished.isEmpty { close() }
    }

    private mutating func append(_ piece: PromptPiece, _ weight: Double) {
        open.append((piece, weight))
        used += piece.length
    }
}
