//! rhumb, called through bridge.c.

use std::ffi::{c_char, c_int, c_void, CString};
use std::ptr;

extern "C" {
    fn bridge_create(
        path: *const c_char,
        metric: *const c_char,
        element: *const c_char,
        dim: u32,
        m: u32,
        ef: u32,
        index: *mut *mut c_void,
    ) -> c_int;
    fn bridge_insert(index: *mut c_void, vectors: *const c_void, count: usize, threads: u32) -> c_int;
    fn bridge_search(
        index: *mut c_void,
        queries: *const c_void,
        count: usize,
        k: usize,
        ef: u32,
        threads: u32,
        filter: *const u64,
        filter_count: usize,
        keys: *mut u64,
        counts: *mut usize,
    ) -> c_int;
    fn bridge_distances(index: *mut c_void, vectors: *const c_void, count: usize, matrix: *mut f32) -> c_int;
    fn bridge_neighbour_count(index: *mut c_void, key: u64) -> i64;
    fn bridge_remove(index: *mut c_void, path: *const c_char) -> c_int;
    fn bridge_read(
        path: *const c_char,
        name: *const c_char,
        kind: c_char,
        rows: *mut u64,
        columns: *mut u64,
        matrix: *mut c_void,
    ) -> c_int;
}

pub struct Index {
    handle: *mut c_void,
    path: CString,
}

unsafe impl Sync for Index {}

impl Index {
    /// An index in the file `path`, which must not exist and is removed with it. An `m` of 0 means the defaults.
    pub fn create(path: &str, metric: &str, element: &str, dim: usize, m: u32, ef_construction: u32) -> Option<Index> {
        let path = CString::new(path).unwrap();
        let metric = CString::new(metric).unwrap();
        let element = CString::new(element).unwrap();
        let mut handle = ptr::null_mut();
        let result = unsafe {
            bridge_create(path.as_ptr(), metric.as_ptr(), element.as_ptr(), dim as u32, m, ef_construction, &mut handle)
        };
        (result == 0).then_some(Index { handle, path })
    }

    /// Inserts `count` vectors that lie one after the other, with keys from 0.
    pub fn insert<T>(&self, vectors: &[T], count: usize, threads: u32) -> bool {
        unsafe { bridge_insert(self.handle, vectors.as_ptr().cast(), count, threads) == 0 }
    }

    /// The keys of the k nearest of each query (u64::MAX in empty places), and how many were found.
    pub fn search(
        &self,
        queries: &[f32],
        count: usize,
        k: usize,
        ef: u32,
        threads: u32,
        filter: Option<&[u64]>,
    ) -> (Vec<u64>, Vec<usize>) {
        let mut keys = vec![0u64; count * k];
        let mut found = vec![0usize; count];
        let (allowed, allowed_count) = filter.map_or((ptr::null(), 0), |keys| (keys.as_ptr(), keys.len()));
        let result = unsafe {
            bridge_search(
                self.handle,
                queries.as_ptr().cast(),
                count,
                k,
                ef,
                threads,
                allowed,
                allowed_count,
                keys.as_mut_ptr(),
                found.as_mut_ptr(),
            )
        };
        assert_eq!(result, 0);
        (keys, found)
    }

    pub fn distances<T>(&self, vectors: &[T], count: usize) -> Option<Vec<f32>> {
        let mut matrix = vec![f32::NAN; count * count];
        let result = unsafe { bridge_distances(self.handle, vectors.as_ptr().cast(), count, matrix.as_mut_ptr()) };
        (result == 0).then_some(matrix)
    }

    pub fn neighbour_count(&self, key: u64) -> usize {
        usize::try_from(unsafe { bridge_neighbour_count(self.handle, key) }).unwrap()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        unsafe { bridge_remove(self.handle, self.path.as_ptr()) };
    }
}

/// A matrix of an HDF5 file and the number of its columns.
pub fn read<T: Clone + Default>(path: &str, name: &str, kind: char) -> (Vec<T>, usize) {
    let path = CString::new(path).unwrap();
    let name = CString::new(name).unwrap();
    let (mut rows, mut columns) = (0u64, 0u64);
    let mut call = |matrix: *mut c_void| unsafe {
        bridge_read(path.as_ptr(), name.as_ptr(), kind as c_char, &mut rows, &mut columns, matrix)
    };
    assert_eq!(call(ptr::null_mut()), 0);
    let mut matrix = vec![T::default(); (rows * columns) as usize];
    let mut call = |matrix: *mut c_void| unsafe {
        bridge_read(path.as_ptr(), name.as_ptr(), kind as c_char, &mut rows, &mut columns, matrix)
    };
    assert_eq!(call(matrix.as_mut_ptr().cast()), 0);
    (matrix, columns as usize)
}
