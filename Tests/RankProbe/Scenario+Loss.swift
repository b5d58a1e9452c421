import Failures
import Foundation
import MessagePassing
import TestSupport

/// What is lost.
enum Loss: String {
    /// The rank kills itself.
    case rank
    /// The rank kills the launcher.
    case launcher
    /// The rank kills itself, and the launcher does not notice: it is stopped before.
    case rankUnseen
}

extension Scenario {
    /// All ranks send each other payloads without end; after a while, `rank` brings about the loss.
    ///
    /// - Parameter folder: gets a file per rank, with its process's number in it.
    func suffer(_ loss: Loss, by rank: Int, folder: String, _ communicator: any Communicator) async throws {
        try "\(getpid())".write(toFile: "\(folder)/\(communicator.rank)", atomically: true, encoding: .utf8)
        try await communicator.barrier()
        if communicator.rank == 0 { say("ready") }
        if communicator.rank == rank {
            Task.detached {
                try? await Task.sleep(for: .milliseconds(300))
                switch loss {
                case .rank: kill(getpid(), SIGKILL)
                case .launcher: kill(getppid(), SIGKILL)
                case .rankUnseen:
                    kill(getppid(), SIGSTOP)
                    kill(getpid(), SIGKILL)
                }
            }
        }
        let payload = pattern(of: 1, count: 1 << 20)
        let others = (0..<communicator.size).filter { $0 != communicator.rank }
        while true {
            for other in others { communicator.post(head: [], payload: payload, to: other, tag: Self.channel) }
            for other in others { _ = try await communicator.receiveMessage(from: other, tag: Self.channel) }
        }
    }
}
