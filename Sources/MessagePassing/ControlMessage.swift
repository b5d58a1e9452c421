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
    /// From rank 0: end the process.
    case leave
    /// To rank 0: nothing will come from this rank any more.
    case gone

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .finished: writer.write(UInt8(1))
        case .failed(let failure):
            writer.write(UInt8(2))
            writer.write(failure)
        case .leave: writer.write(UInt8(3))
        case .gone: writer.write(UInt8(4))
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8], from source: Int) throws {
        var reader = ByteReader(bytes, subject: "a control message from rank \(source)")
        let code = try reader.read(UInt8.self)
        switch code {
        case 1: self = .finished
        case 2: self = .failed(try reader.readFailure())
        case 3: self = .leave
        case 4: self = .gone
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
