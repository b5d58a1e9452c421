/// Where the system keeps the limits of the control groups that hold this process, in either version of them.
package enum ControlGroups {
    package struct Folder: Equatable {
        package let path: String
        /// Whether it is of the second version, which has one hierarchy for all controllers.
        package let isUnified: Bool
    }

    /// The folders that may limit what `controller` hands out, from the process's own group up to the root. Not all of
    /// them need be there: in a container the group's own path may not be visible, and the root is its.
    ///
    /// - Parameter read: the text of a file of the system, nil if there is none.
    package static func folders(of controller: String, read: (String) -> String?) -> [Folder] {
        let lines = (read("/proc/self/cgroup") ?? "").split(separator: "\n")
        return lines.flatMap { line -> [Folder] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let isUnified = fields[0] == "0" && fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains(Substring(controller)) else { return [] }
            let root = "/sys/fs/cgroup" + (isUnified ? "" : "/\(controller)")
            let parts = fields[2].split(separator: "/")
            return (0...parts.count).reversed().map { count in
                Folder(path: root + parts.prefix(count).map { "/\($0)" }.joined(), isUnified: isUnified)
            }
        }
    }
}
