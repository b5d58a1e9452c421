import COpenMPI
import Failures

/// Calls of MPI that failed, as failures that name the call, the reason, the rank and the machine.
struct MPICall {
    let rank: Int
    let hostName: String

    func check(_ code: Int32, _ call: String) throws {
        guard code != MPI_SUCCESS else { return }
        throw Failure.internalFault("rank \(rank) on \(hostName): \(call): \(Self.text(of: code))")
    }

    static func text(of code: Int32) -> String {
        text { pilot_mpi_error_text(code, $0) }
    }

    /// A text that C writes to a buffer of the shim's capacity.
    static func text(_ fill: (UnsafeMutablePointer<CChar>) -> Void) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PILOT_MPI_TEXT_CAPACITY))
        buffer.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { fill(start) }
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
