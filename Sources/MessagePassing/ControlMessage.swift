import Failures

/// What the ranks' endpoints say to each other about the job's end, whatever the tasks above them are doing.
///
/// Every end goes the same way: rank 0 tells the others to leave, each finishes its sending and says that it is gone,
/// then all finalise MPI together.
enum ControlMessage: Equatable, Sendable {
    /// To rank 0: this rank's part of the work is done.
    case finished
    /// To rank 0: this rank can't go on.
    case failed(Failure)
    /// From rank 0: end the process, as all ranks have done their part, or because the job can't go on.
    case leave(isDone: Bool)
    /// To rank 0: nothing will come from this rank any more.
    case gone
    /// To the spokesmen: a signal has told this rank to end; it may have found, and said, which rank died.
    case stopping(isExplained: Bool)
    /// To rank 0: a rank is gone, and this one has said so; the job can't go on, nor end in order.
    case lost

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .finished: writer.write(UInt8(1))
        case .failed(let failure):
            writer.write(UInt8(2))
            writer.write(failure)
        case .leave(let isDone): writer.write(UInt8(isDone ? 8 : 3))
        case .gone: writer.write(UInt8(4))
        case .stopping(let isExplained): writer.write(UInt8(isExplained ? 6 : 5))
        case .lost: writer.write(UInt8(7))
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8], from source: Int) throws {
        var reader = ByteReader(bytes, subject: "a control message from rank \(source)")
        let code = try reader.read(UInt8.self)
        switch code {
        case 1: self = .finished
        case 2: self = .failed(try reader.readFailure())
        case 3, 8: self = .leave(isDone: code == 8)
        case 4: self = .gone
        case 5, 6: self = .stopping(isExplained: code == 6)
        case 7: self = .lost
        default: throw Failure.internalFault("rank \(source) sent the unknown control message \(code)")
        }
        try reader.finish()
    }
}

extension ByteWriter {
    /// A failure's kind and message, so that it can be thrown on another rank.
    public mutating func write(_ failure: Failure) {
        write(failure.kind.rawValue)
        write(failure.message)
    }
}

extension ByteReader {
    /// A failure that another rank wrote; a kind unknown here counts as an internal fault.
    public mutating func readFailure() throws -> Failure {
        let kind = Failure.Kind(rawValue: try read(Int32.self)) ?? .internalFault
        return Failure(kind, try readText())
    }
}
