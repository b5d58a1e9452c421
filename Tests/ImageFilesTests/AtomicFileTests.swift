import Failures
import Foundation
import Testing

/// A folder of its own for one test, removed afterwards.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pilot-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

private func contents(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
}

private func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

/// The failure that `body` throws; nil if it throws none.
func failure(of body: () throws -> Void) -> Failure? {
    do {
        try body()
        return nil
    } catch {
        return error as? Failure
    }
}

struct AtomicFileTests {
    @Test func replacesAFileOnlyWhenAllIsWritten() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/a.txt"
            try AtomicFile.write(to: path) { try $0.write("first") }
            try AtomicFile.write(to: path) { writer in
                try writer.write("second")
                #expect(contents(path) == "first")
                let present = try names(in: folder)
                #expect(present.count == 2)
            }
            #expect(contents(path) == "second")
            #expect(try names(in: folder) == ["a.txt"])
        }
    }

    @Test func leavesTheOldFileAndNoTemporaryWhenTheBodyFails() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/a.txt"
            try AtomicFile.write(to: path) { try $0.write("first") }
            let thrown = failure {
                try AtomicFile.write(to: path) { writer in
                    try writer.write("half")
                    throw Failure.internalFault("no")
                }
            }
            #expect(thrown == .internalFault("no"))
            #expect(contents(path) == "first")
            #expect(try names(in: folder) == ["a.txt"])
        }
    }

    @Test func followsALinkAndKeepsPermissions() throws {
        try withTemporaryFolder { folder in
            let target = folder + "/target"
            let link = folder + "/link"
            try AtomicFile.write(to: target) { try $0.write("old") }
            chmod(target, 0o640)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
            try AtomicFile.write(to: link) { try $0.write([UInt8]("new".utf8)) }
            #expect(contents(target) == "new")
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target)
            let attributes = try FileManager.default.attributesOfItem(atPath: target)
            #expect(attributes[.posixPermissions] as? Int == 0o640)
        }
    }

    @Test func saysWhatIsWrongWithTheDestination() throws {
        try withTemporaryFolder { folder in
            let long = String(repeating: "n", count: 300)
            for (path, words) in [
                (folder + "/missing/a.png", "the folder \(folder)/missing is not there"),
                (folder, "it is a folder"), ("", "not a file name"), (folder + "/" + long, "too long"),
                (folder + "/a/", "not a file name"),
            ] {
                for attempt in [
                    { try AtomicFile.checkWritable(path) }, { try AtomicFile.write(to: path) { try $0.write("x") } },
                ] {
                    let thrown = try #require(failure(of: attempt))
                    #expect(thrown.kind == .inputOutput)
                    #expect(thrown.message.contains(words), "\(thrown.message)")
                }
            }
            try AtomicFile.checkWritable(folder + "/a.png")
            #expect(try names(in: folder).isEmpty)
        }
    }

    /// `/dev/full` answers every write with "no space left": what a full disk answers.
    @Test func aFullDiskIsAnInputOutputFailure() throws {
        let thrown = try #require(failure { try AtomicFile.write(to: "/dev/full") { try $0.write("x") } })
        #expect(thrown.kind == .inputOutput)
        #expect(thrown.message == "cannot write /dev/full: No space left on device; make room or write elsewhere")
        #expect(FileManager.default.fileExists(atPath: "/dev/full"))
    }

    /// In a process of its own, since it removes the unfinished files of every test that runs at the same time.
    @Test func unfinishedFilesCanBeRemovedFromOutside() async {
        await #expect(processExitsWith: .success) {
            try withTemporaryFolder { folder in
                let thrown = failure {
                    try AtomicFile.write(to: folder + "/a.txt") { writer in
                        try writer.write("half")
                        AtomicFile.removeUnfinished()
                        let left = try names(in: folder)
                        precondition(left.isEmpty)
                    }
                }
                let left = try names(in: folder)
                precondition(thrown?.kind == .inputOutput && left.isEmpty)
            }
        }
    }
}
