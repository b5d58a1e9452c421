import MessagePassing

/// A rank's ways to other strips: of its stage, and of pictures that it encodes and decodes with others.
public struct StripWires: Sendable {
    /// Nil where the stage has no others.
    public let stage: StripWire?
    /// The same as the stage's where a picture's strips are those of a stage; nil where nobody shares its pictures.
    public let pictures: StripWire?

    public init(_ layout: Layout, communicator: any Communicator) {
        let channel = MessageTag.firstFreeChannel + 10
        guard let place = layout.place(of: communicator.rank) else {
            stage = nil
            pictures = nil
            return
        }
        let strips = layout.ranksOfStrips(at: place)
        let team = layout.pictureTeam(of: place.replica)
        stage = StripWire(among: strips, channel: channel, communicator: communicator)
        pictures = team == strips ? stage : StripWire(among: team, channel: channel + 1, communicator: communicator)
    }

    /// Each of them once.
    public var all: [StripWire] { [stage, pictures === stage ? nil : pictures].compactMap { $0 } }

    /// The rank for which the compute thread waits.
    package var awaited: Int? { all.lazy.compactMap(\.awaited).first }
    /// Bytes through memory, which the communicator knows nothing of.
    var sharedBytes: Int { all.reduce(0) { $0 + $1.counted.sharedBytes } }
    /// In which the compute thread could do nothing.
    var waitedNanoseconds: Int64 { all.reduce(0) { $0 + $1.counted.waitedNanoseconds } }
}
