import Glibc

/// How ranks of one machine wake each other's MPI threads when they have sent something.
///
/// MPI itself can only be asked, again and again, whether there is a message. To ask often takes time from those who
/// compute, and to ask rarely lets messages wait. A ring is a datagram within the kernel that holds the number of the
/// rank it comes from; it carries no message and may be lost, since everyone still asks now and then.
package final class Doorbell: Sendable {
    /// What others ring at; they can only where they share this process's network, which they find out by trying.
    package let name: String

    private let socket: Int32
    private let thread: DedicatedThread

    /// Nil when the system has no such datagrams, or no thread: ranks do without then.
    package init?() {
        guard let thread = try? DedicatedThread(name: "doorbell", stackBytes: 1 << 20) else { return nil }
        let name = "pilot-mpi-\(getpid())-\(UInt64.random(in: .min ... .max))"
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        guard Self.withAddress(name, { bind(socket, $0, $1) }) == 0 else {
            close(socket)
            return nil
        }
        self.name = name
        self.socket = socket
        self.thread = thread
    }

    /// Calls `heard` with the rank for each ring, for as long as the process lives.
    package func listen(_ heard: @escaping @Sendable (_ rank: Int) -> Void) {
        thread.enqueue { [socket] in
            var number: UInt32 = 0
            while true {
                let count = recv(socket, &number, MemoryLayout<UInt32>.size, 0)
                if count < 0 && errno != EINTR { return }
                if count == MemoryLayout<UInt32>.size { heard(Int(number)) }
            }
        }
    }

    /// Rings another rank's bell; nothing happens if it can't be reached, or has enough rings waiting.
    package func ring(_ other: String, from rank: Int) {
        var number = UInt32(clamping: rank)
        _ = Self.withAddress(other) { address, length in
            sendto(
                socket, &number, MemoryLayout<UInt32>.size, Int32(MSG_DONTWAIT | MSG_NOSIGNAL),
                address, length)
        }
    }

    /// The address of that name in the kernel's own space of names, which no file stands for.
    private static func withAddress<Result>(
        _ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // A first byte of 0 says that the name is no path.
        let bytes = [0] + Array(name.utf8).prefix(MemoryLayout.size(ofValue: address.sun_path) - 1)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = (MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 0) + bytes.count
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }
}
