import ArgumentParser
import Foundation
import Glibc
import TensorKernels

/// How the job is computed.
struct ComputationOptions: ParsableArguments {
    @Option(name: .customLong("dtype"), help: "Number format of the UNet (default: float32).")
    var elementType: ElementType?

    @Option(help: "Library of convolutions and matrix products (default: onednn).")
    var backend: BackendName?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Threads of each rank (default: the machine's cores, divided by the ranks on it).", valueName: "N"))
    var threads: Int?

    /// - Parameter isRecorded: whether `computation` is a recorded job's, whose threads are then kept.
    func apply(to computation: inout Computation, isRecorded: Bool) {
        if let elementType { computation.elementType = elementType }
        if let backend { computation.backend = backend }
        if let threads {
            computation.threads = threads
        } else if !isRecorded {
            computation.threads = Self.defaultThreads()
        }
    }

    /// What to tell the user when the launcher keeps this process on fewer cores than it has threads; else nil.
    static func bindingWarning(threads: Int) -> String? {
        let allowed = ProcessInfo.processInfo.activeProcessorCount
        let online = onlineCores()
        guard allowed < min(threads, online) else { return nil }
        return
            "a rank computes with \(threads) threads and may use \(allowed) of the machine's \(online) cores; start it "
            + "with mpirun --bind-to none (or --map-by slot:PE=\(threads))"
    }

    private static func onlineCores() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    private static func defaultThreads() -> Int {
        let cores = onlineCores()
        let local = ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_LOCAL_SIZE"].flatMap { Int($0) } ?? 1
        return max(1, cores / max(1, local))
    }
}
