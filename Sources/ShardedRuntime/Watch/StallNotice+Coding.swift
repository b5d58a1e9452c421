import Failures
import MessagePassing

extension ByteWriter {
    mutating func write(_ notice: StallNotice?) {
        write(UInt8(notice == nil ? 0 : 1))
        guard let notice else { return }
        write(notice.cause.rawValue)
        write(notice.seconds.bitPattern)
        write(notice.ranks)
    }
}

extension ByteReader {
    mutating func readNotice() throws -> StallNotice? {
        guard try readFlag() else { return nil }
        let number = try read(UInt8.self)
        guard let cause = StallNotice.Cause(rawValue: number) else {
            throw Failure.internalFault("a message tells of a wait of the unknown cause \(number)")
        }
        let seconds = Double(bitPattern: try read(UInt64.self))
        guard seconds.isFinite, seconds >= 0 else {
            throw Failure.internalFault("a message tells of a wait of \(seconds) s")
        }
        return StallNotice(cause: cause, seconds: seconds, ranks: try readText())
    }
}
