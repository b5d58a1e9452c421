import Failures
import Foundation
import Testing

/// Where files may be written to, found out before there is anything to write.
@Suite struct DestinationTests {
    /// Opening a pipe that nobody reads would wait for ever, and a socket or a disk is no place for a file.
    @Test(arguments: [(S_IFIFO, "a pipe"), (S_IFSOCK, "a socket")])
    func whatIsNoFileIsRefusedAtOnce(type: mode_t, name: String) throws {
        try withTemporaryFolder { folder in
            let path = folder + "/a.png"
            #expect(mknod(path, type | 0o666, 0) == 0)
            for attempt in [
                { try AtomicFile.checkWritable(path) }, { try AtomicFile.write(to: path) { try $0.write("x") } },
            ] {
                let thrown = try #require(failure(of: attempt))
                #expect(thrown.kind == .inputOutput && thrown.message.contains("it is \(name)"), "\(thrown.message)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.png"])
        }
    }

    @Test func aFullDeviceIsFoundBeforeAnythingIsWritten() throws {
        let thrown = try #require(failure { try AtomicFile.checkWritable("/dev/full") })
        #expect(thrown.kind == .inputOutput && thrown.message.contains("No space left"), "\(thrown.message)")
        try AtomicFile.checkWritable("/dev/null")
        try AtomicFile.write(to: "/dev/null") { try $0.write("x") }
    }

    @Test func aLinkThatLeadsNowhereIsRefusedAndStays() throws {
        try withTemporaryFolder { folder in
            let link = folder + "/link.png"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder + "/nowhere.png")
            let thrown = try #require(failure { try AtomicFile.write(to: link) { try $0.write("x") } })
            #expect(thrown.kind == .inputOutput && thrown.message.contains("a link"), "\(thrown.message)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["link.png"])
        }
    }

    @Test func lookingLeavesAFileAsItIs() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/a.txt"
            try AtomicFile.write(to: path) { try $0.write("old") }
            try AtomicFile.checkWritable(path)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.txt"])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
        }
    }

    private func succeeds(_ command: String) throws -> Bool {
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", command + " 2>/dev/null"]
        try shell.run()
        shell.waitUntilExit()
        return shell.terminationStatus == 0
    }

    /// A disk that is full has room for a file without contents.
    @Test func aFullDiskIsFoundBeforeAnythingIsWritten() throws {
        try withTemporaryFolder { folder in
            guard try succeeds("mount -t tmpfs -o size=8k tmpfs \(folder)") else { return }  // Only root may.
            defer { _ = try? succeeds("umount \(folder)") }
            #expect(failure { try AtomicFile.checkWritable(folder + "/a.png") } == nil)
            try Data(count: 8192).write(to: URL(filePath: folder + "/full"))
            let thrown = try #require(failure { try AtomicFile.checkWritable(folder + "/a.png") })
            #expect(thrown.message.contains("No space left"), "\(thrown.message)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["full"])
        }
    }
}
