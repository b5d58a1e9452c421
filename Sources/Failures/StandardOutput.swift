import Glibc

/// What the program gives on standard output. Nothing is kept in a buffer, so what was not written is known at once.
public enum StandardOutput {
    /// Writes a line, or several, for whoever reads them.
    ///
    /// - Returns: whether somebody does. Who has seen enough closes the pipe, as `head` does; that is no failure.
    /// - Throws: `Failure.inputOutput` when the text is lost, on a full disk for instance.
    @discardableResult
    public static func print(_ text: String) throws -> Bool {
        let code = put(Array((text + "\n").utf8))
        if code == EPIPE { return false }
        guard code == 0 else { throw lost(code) }
        return true
    }

    /// Writes all bytes of a file, which is of no use in part.
    ///
    /// - Throws: `Failure.inputOutput`, also when the other end of the pipe is closed.
    public static func write(_ bytes: [UInt8]) throws {
        let code = put(bytes)
        guard code == 0 else { throw lost(code) }
    }

    /// Finds out, before hours of work, whether a file can be written there, without writing anything.
    ///
    /// - Throws: `Failure.inputOutput` if not, `Failure.usage` for a terminal.
    public static func checkTakesFile() throws {
        // mpirun hands its ranks a terminal of its own, which is nobody's to control and takes all bytes as they are.
        guard isatty(STDOUT_FILENO) == 0 || tcgetpgrp(STDOUT_FILENO) < 0 else {
            throw Failure.usage("standard output is a terminal, which shows no file; redirect it: … >result.png")
        }
        // A device that takes nothing, such as /dev/full, and a stream that is closed refuse even this.
        var byte: UInt8 = 0
        guard Glibc.write(STDOUT_FILENO, &byte, 0) == 0 else { throw lost(errno) }
        var request = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        if poll(&request, 1, 0) > 0, request.revents & Int16(POLLERR) != 0 { throw lost(EPIPE) }
    }

    /// Returns the error's code, 0 for none.
    private static func put(_ bytes: [UInt8]) -> Int32 {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0 && errno == EAGAIN {
                // Another program may have made the pipe so that it does not wait.
                var request = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                _ = poll(&request, 1, -1)
            } else if count == 0 || errno != EINTR {
                return count == 0 ? EIO : errno
            }
        }
        return 0
    }

    private static func lost(_ code: Int32) -> Failure {
        .inputOutput("cannot write to standard output: \(String(cString: strerror(code)))")
    }
}
