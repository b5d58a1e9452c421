import Failures
import Foundation
import Glibc
import MessagePassing
import TensorKernels

extension Scenario {
    /// `rank` reads a mapped file that was cut short after it was opened; the others wait.
    func readShrunken(_ path: String, on rank: Int, _ communicator: any Communicator) async throws {
        if communicator.rank == rank {
            let file = try MappedFile(path: path)
            truncate(path, 10)
            try await DedicatedThread(name: "compute").run {
                say("read \(file.withUnsafeBytes { $0[$0.count - 1] })")
            }
        }
        _ = try await communicator.receive(from: communicator.rank == 0 ? 1 : 0, tag: Self.channel)
    }

    /// `rank` asks for a tensor of a gigabyte where the limit on its memory leaves it an eighth; the others wait.
    func exhaust(on rank: Int, _ communicator: any Communicator) async throws {
        if communicator.rank == rank {
            try await DedicatedThread(name: "compute").run {
                let context = try ComputeContext(threads: 1)
                let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
                let used = (Int(pages[0]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
                var limit = rlimit(rlim_cur: rlim_t(used + 128 << 20), rlim_max: .max)
                setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
                say("made \(TensorDraft(uninitialized: [1 << 28], in: context).finished().count)")
            }
        }
        _ = try await communicator.receive(from: communicator.rank == 0 ? 1 : 0, tag: Self.channel)
    }
}
